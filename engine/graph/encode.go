package graph

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Encode returns the message that a browser would send of live operations: an array
// of them, with their extra fields as they came.
func Encode(ops ...Op) []byte {
	b := []byte{'['}
	for i := range ops {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOp(b, &ops[i])
	}
	return append(b, ']')
}

// Delta makes a message of live operations one in which they are a `deltaSync`. Browsers
// with the Security Manager take operations that nobody signed in no other way; to others
// it is the same (docs/protocol.md, "Sync with the Security Manager").
func Delta(ops []byte) []byte {
	return slices.Concat([]byte(`[{"type":"deltaSync","operations":`), ops, []byte(`,"timestamp":null}]`))
}

// EncodeSync returns the question for what is newer than t; the zero Timestamp asks
// for everything.
func EncodeSync(t Timestamp) []byte {
	b := append([]byte(nil), `[{"type":"sync"`...)
	return append(appendTimestamp(b, t, true), `}]`...)
}

func appendOp(b []byte, op *Op) []byte {
	switch op.Kind {
	case Upsert:
		b = appendString(append(b, `{"type":"upsert","id":`...), op.ID)
	case Remove:
		b = appendString(append(b, `{"type":"remove","id":`...), op.ID)
	case Link:
		b = appendString(append(b, `{"type":"link","sourceId":`...), op.ID)
		b = appendString(append(b, `,"targetId":`...), op.Target)
	}
	if op.Value != nil {
		b = append(append(b, `,"value":`...), op.Value...)
	}
	b = appendTimestamp(b, op.Timestamp, false)
	return append(appendExtra(b, op.Extra), '}')
}

// appendNode appends a node of a full state.
func appendNode(b []byte, e *Entry, edges []string) []byte {
	b = appendString(b, e.ID)
	b = appendString(append(b, `:{"id":`...), e.ID)
	b = append(append(b, `,"value":`...), e.Value...)
	b = append(b, `,"edges":[`...)
	for i, edge := range edges {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, edge)
	}
	b = append(b, ']')
	b = appendTimestamp(b, e.Timestamp, false)
	return append(appendExtra(b, e.Extra), '}')
}

// appendTimestamp appends the field timestamp. The zero Timestamp of an operation or a
// node is left out, as browsers do; null says it in other messages.
func appendTimestamp(b []byte, t Timestamp, null bool) []byte {
	switch {
	case !t.IsZero():
		b = strconv.AppendInt(append(b, `,"timestamp":{"physical":`...), t.Physical, 10)
		b = strconv.AppendUint(append(b, `,"logical":`...), t.Logical, 10)
		b = append(b, '}')
	case null:
		b = append(b, `,"timestamp":null`...)
	}
	return b
}

// appendExtra appends the members of a JSON object.
func appendExtra(b, extra []byte) []byte {
	if len(extra) <= len("{}") {
		return b
	}
	b = append(b, ',')
	return append(b, extra[1:len(extra)-1]...)
}

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
