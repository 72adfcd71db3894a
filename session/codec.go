package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// maxDepth is how deep arrays and maps may be nested in the data and meta that
// a client sends. Receivers with recursive parsers are to survive it; it is
// what common MessagePack libraries allow. What browsers send is passed on at
// any depth.
const maxDepth = 100

// Codec is an encoding of messages (docs/gateway.md, "Encoding details"). It
// has no state and is safe for use by several goroutines.
type Codec interface {
	// Subprotocol is the codec's name in a WebSocket handshake.
	Subprotocol() string
	// Binary tells whether messages are bytes rather than text.
	Binary() bool
	// Decode reads a message and keeps nothing of raw. Its error is an *Error;
	// beside it the message has Op and Seq if these could be read.
	Decode(raw []byte) (Message, error)
	// Encode writes a message. It cannot fail: what a client cannot be told
	// was refused when it came in, or becomes the replacement character or
	// null.
	Encode(m *Message) []byte

	// slot is the codec's number in an engine.EncodingCache.
	slot() int
}

// Codecs are all there are, the preferred one first.
var Codecs = [engine.MaxCodecs]Codec{MessagePack, JSON}

// reader is what Decode needs of an encoding.
type reader interface {
	// split finds the fields in the map that raw is.
	split(raw []byte, found *fieldValues) error
	// read reads a value into what dst points to, and tells whether it was
	// anything but null. It knows the types of Message's fields.
	read(value []byte, dst any) (bool, error)
}

// fieldValues are a message's fields as they stand in it: whole and well-formed
// values, nil where there is none.
type fieldValues [fieldCount][]byte

// set notes a field, if it is one that is known.
func (v *fieldValues) set(name string, value []byte) {
	if f, ok := fieldsByName[name]; ok {
		v[f] = value
	}
}

// decoding is what decode works on. It is large, and used for each message.
type decoding struct {
	m      Message
	values fieldValues
}

var decodings = sync.Pool{New: func() any { return new(decoding) }}

// decode reads a message by the uses of its operation. It goes on after a
// fault, for the seq, which the answer must carry, may come later.
func decode(r reader, raw []byte) (Message, error) {
	d := decodings.Get().(*decoding)
	err := d.decode(r, raw)
	m := d.m
	d.m = Message{}
	for i := range d.values { // mostly few are set
		if d.values[i] != nil {
			d.values[i] = nil
		}
	}
	decodings.Put(d)
	return m, err
}

func (d *decoding) decode(r reader, raw []byte) error {
	m, values := &d.m, &d.values
	if err := r.split(raw, values); err != nil {
		return asFault(CodeBadMessage, err)
	}
	if values[fOp] == nil {
		return fault(CodeBadMessage, "op is missing")
	}
	if _, err := r.read(values[fOp], m.at(fOp)); err != nil {
		return fault(CodeBadMessage, "op: %v", err)
	}
	fields, ok := uses[m.Op]
	if !ok {
		return fault(CodeUnknownOp, "op %.40q is not known", string(m.Op))
	}
	var first error
	for _, u := range fields {
		name := fieldNames[u.field]
		there, err := false, error(nil)
		if values[u.field] != nil {
			there, err = r.read(values[u.field], m.at(u.field))
		}
		switch {
		case first != nil:
		case err != nil:
			e := asFault(u.field.code(), err)
			first = &Error{Code: e.Code, Text: fmt.Sprintf("%s: %s: %s", m.Op, name, e.Text)}
		case !there && !u.optional:
			first = fault(u.field.code(), "%s: %s is missing", m.Op, name)
		}
	}
	return first
}

// code is the code of a field that is missing or of the wrong type.
func (f field) code() Code {
	switch f {
	case fSeq:
		return CodeBadSeq
	case fChannel:
		return CodeChannelName
	case fData, fMeta:
		return CodeBadData
	case fTransfer, fSize, fKind, fHash:
		return CodeBadTransfer
	case fOffset:
		return CodeBadOffset
	case fNode, fTarget:
		return CodeBadNode
	}
	return CodeBadMessage
}

// writer is what Encode needs of an encoding. Maps and arrays are announced
// with their sizes.
type writer interface {
	beginMap(n int)
	endMap()
	beginArray(n int)
	endArray()
	key(name string)
	string(s string)
	uint(u uint64)
	float(f float64)
	bool(b bool)
	data(c engine.Content)
	json(text []byte)
}

// encode writes a message by the uses of its operation.
func encode(w writer, m *Message) {
	if m.Place != nil {
		writePlace(w, m.Place)
		return
	}
	fields := uses[m.Op]
	n := 1
	for _, u := range fields {
		if !u.optional || m.has(u.field) {
			n++
		}
	}
	w.beginMap(n)
	w.key(fieldNames[fOp])
	w.string(string(m.Op))
	for _, u := range fields {
		if !u.optional || m.has(u.field) {
			w.key(fieldNames[u.field])
			writeValue(w, m.at(u.field))
		}
	}
	w.endMap()
}

func writeValue(w writer, v any) {
	switch v := v.(type) {
	case *string:
		w.string(strings.ToValidUTF8(*v, "\uFFFD"))
	case *uint64:
		w.uint(*v)
	case **uint64:
		w.uint(**v)
	case *float64:
		w.float(*v)
	case *bool:
		w.bool(*v)
	case *[]string:
		w.beginArray(len(*v))
		for i := range *v {
			writeValue(w, &(*v)[i])
		}
		w.endArray()
	case *[]byte:
		w.json(*v)
	case *engine.Content:
		w.data(*v)
	case *[]engine.Peer:
		w.beginArray(len(*v))
		for _, p := range *v {
			writePeer(w, p)
		}
		w.endArray()
	case *[]engine.MeshPeer:
		w.beginArray(len(*v))
		for i := range *v {
			writeMeshPeer(w, &(*v)[i])
		}
		w.endArray()
	case *[]ICEServer:
		w.beginArray(len(*v))
		for _, server := range *v {
			text, err := json.Marshal(server)
			if err != nil {
				panic(err) // it is made of strings and a number
			}
			w.json(text)
		}
		w.endArray()
	case *Limits:
		w.beginMap(4)
		w.key("message")
		w.uint(uint64(v.Message))
		w.key("pending")
		w.uint(uint64(v.Pending))
		w.key("resume")
		w.float(v.Resume.Seconds())
		w.key("window")
		w.uint(uint64(v.Window))
		w.endMap()
	}
}

func writePeer(w writer, p engine.Peer) {
	n := 1
	if p.Type != "" {
		n++
	}
	w.beginMap(n)
	w.key("peer")
	writeValue(w, &p.ID)
	if p.Type != "" {
		w.key("type")
		writeValue(w, &p.Type)
	}
	w.endMap()
}

// What both encodings say of a value of the wrong type.
var (
	errNotString  = errors.New("must be a string")
	errNotStrings = errors.New("must be a string or an array of strings")
	errNotBool    = errors.New("must be true or false")
	errNotNumber  = errors.New("must be a number")
	errNotInteger = fmt.Errorf("must be an integer from 0 to %d", uint64(maxInteger))
	errNotMap     = errors.New("the message is not a map")
	errNotUTF8    = errors.New("text is not valid UTF-8")
	errTooDeep    = fmt.Errorf("nested deeper than %d", maxDepth)
)

// integer is the integer that f is.
func integer(f float64) (uint64, error) {
	if !(f >= 0 && f <= maxInteger) || f != float64(uint64(f)) {
		return 0, errNotInteger
	}
	return uint64(f), nil
}

var errTooManyTargets = fault(CodeTooMany, "more than %d recipients", engine.MaxRecipients)
