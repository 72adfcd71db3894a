package graph

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads a message of channel syncGraph: an array of operations, or a single
// one (docs/protocol.md, "Sync"). It fails on what is not such JSON. In an array
// whatever is not understood is skipped, and counted in Bad. What it returns does not
// alias data.
//
// Where an array has several kinds of content, their order is not kept: of several
// questions the one that asks for most counts, and of several full states the last.
func Decode(data []byte) (Message, error) {
	d := decoder{dec: jsontext.NewDecoder(bytes.NewBuffer(data),
		// Browsers send both to each other: lone surrogates, as escapes, where an
		// application cut a string, and repeated keys.
		jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))}
	var m Message
	err := d.message(&m)
	if err == nil {
		if _, err = d.dec.ReadToken(); errors.Is(err, io.EOF) {
			return m, nil
		}
		err = cmp.Or(err, errors.New("more than one value"))
	}
	return Message{}, fmt.Errorf("a message of syncGraph: %w", err)
}

type decoder struct {
	dec  *jsontext.Decoder
	text []byte // of the last id
}

func (d *decoder) message(m *Message) error {
	switch d.dec.PeekKind() {
	case jsontext.KindBeginObject:
		return d.element(m)
	case jsontext.KindBeginArray:
		return d.array(func() error { return d.element(m) })
	case jsontext.KindInvalid:
		_, err := d.dec.ReadToken()
		return cmp.Or(err, errors.New("no JSON"))
	default:
		return errors.New("neither an array nor an object")
	}
}

// array reads an array, element by element. Another value it skips.
func (d *decoder) array(element func() error) error {
	if d.dec.PeekKind() != jsontext.KindBeginArray {
		return d.dec.SkipValue()
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch d.dec.PeekKind() {
		case jsontext.KindEndArray:
			_, err := d.dec.ReadToken()
			return err
		case jsontext.KindInvalid:
			_, err := d.dec.ReadToken()
			return cmp.Or(err, io.ErrUnexpectedEOF)
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// object reads an object, member by member. Of another value it says so, and skips it.
func (d *decoder) object(member func(name string) error) (bool, error) {
	if d.dec.PeekKind() != jsontext.KindBeginObject {
		return false, d.dec.SkipValue()
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return false, err
	}
	for {
		name, err := d.dec.ReadToken()
		if err != nil {
			return false, err
		}
		if name.Kind() == jsontext.KindEndObject {
			return true, nil
		}
		if err := member(name.String()); err != nil {
			return false, err
		}
	}
}

// raw reads a value as compact JSON of its own.
func (d *decoder) raw() (json.RawMessage, error) {
	v, err := d.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	return compact(v), nil
}

// compact copies valid JSON text without white space between its tokens. It leaves
// strings and numbers as they are written.
func compact(v []byte) []byte {
	if bytes.IndexByte(v, ' ') < 0 && !bytes.ContainsAny(v, "\t\r\n") {
		return bytes.Clone(v)
	}
	out := make([]byte, 0, len(v))
	quoted := false
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case quoted && c == '\\':
			out = append(out, c)
			i++
			c = v[i]
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			continue
		}
		out = append(out, c)
	}
	return out
}

// id reads an id; it is "" if the value is none.
func (d *decoder) id() (string, error) {
	v, err := d.dec.ReadValue()
	if err != nil || v.Kind() != jsontext.KindString {
		return "", err
	}
	d.text, err = jsontext.AppendUnquote(d.text[:0], v)
	if err != nil || len(d.text) > MaxID {
		return "", nil // a lone surrogate has no UTF-8: it would come back as another id
	}
	return string(d.text), nil
}

// maxInteger is the greatest integer that JavaScript's numbers hold exactly.
const maxInteger = 1<<53 - 1

// timestamp reads a timestamp, and whether it is one.
func (d *decoder) timestamp() (t Timestamp, ok bool, err error) {
	if d.dec.PeekKind() == jsontext.KindNull {
		return t, true, d.dec.SkipValue()
	}
	physical, logical := int64(-1), int64(-1)
	_, err = d.object(func(name string) (err error) {
		switch name {
		case "physical":
			physical, err = d.integer()
		case "logical":
			logical, err = d.integer()
		default:
			err = d.dec.SkipValue()
		}
		return err
	})
	if physical < 0 || logical < 0 {
		return t, false, err
	}
	return Timestamp{Physical: physical, Logical: uint64(logical)}, true, err
}

// integer reads an integer from 0 to maxInteger; it is -1 if the value is none.
func (d *decoder) integer() (int64, error) {
	v, err := d.dec.ReadValue()
	if err != nil || v.Kind() != jsontext.KindNumber {
		return -1, err
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && n >= 0 && n <= maxInteger {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > maxInteger || f != float64(int64(f)) {
		return -1, nil
	}
	return int64(f), nil
}

// fields are those of any operation, or of a node.
type fields struct {
	kind               string
	id, source, target string
	value              json.RawMessage
	edges              []string
	timestamp          Timestamp
	untimed            bool // the timestamp is not one
	extra              []byte
}

// field reads a field. Those that are unknown become extra.
func (d *decoder) field(f *fields, name string) (err error) {
	switch name {
	case "type":
		f.kind, err = d.id()
	case "id":
		f.id, err = d.id()
	case "sourceId":
		f.source, err = d.id()
	case "targetId":
		f.target, err = d.id()
	case "value":
		f.value, err = d.raw()
	case "timestamp":
		var ok bool
		f.timestamp, ok, err = d.timestamp()
		f.untimed = !ok
	case "edges":
		err = d.edges(&f.edges)
	default:
		var v json.RawMessage
		if v, err = d.raw(); err == nil {
			f.extra = appendMember(f.extra, name, v)
		}
	}
	return err
}

func (d *decoder) edges(edges *[]string) error {
	*edges = nil
	return d.array(func() error {
		id, err := d.id()
		if err == nil && id != "" {
			*edges = append(*edges, id)
		}
		return err
	})
}

// appendMember appends to a JSON object that lacks its last brace.
func appendMember(object []byte, name string, value []byte) []byte {
	if object == nil {
		object = append(object, '{')
	} else {
		object = append(object, ',')
	}
	object, _ = jsontext.AppendQuote(object, name)
	object = append(object, ':')
	return append(object, value...)
}

func (f *fields) object() json.RawMessage {
	if f.extra == nil {
		return nil
	}
	return append(f.extra, '}')
}

// element reads an operation of any type into a message.
func (d *decoder) element(m *Message) error {
	var f fields
	var delta []Op
	full := new(FullState)
	bad := 0
	ok, err := d.object(func(name string) error {
		switch name {
		case "operations":
			return d.ops(&delta, &bad)
		case "removals":
			return d.ops(&full.Removals, &bad)
		case "graphData":
			return d.nodes(&full.Nodes, &bad)
		}
		return d.field(&f, name)
	})
	if err != nil {
		return err
	}
	if !ok {
		m.Bad++
		return nil
	}
	switch f.kind {
	case "sync":
		if f.untimed {
			m.Bad++
		} else if m.Asked == nil || m.Asked.After(f.timestamp) {
			m.Asked = &f.timestamp
		}
	case "deltaSync":
		m.Delta = append(m.Delta, delta...)
		m.Bad += bad
	case "fullStateSync":
		full.Timestamp = f.timestamp
		m.Full = full
		m.Bad += bad
	default:
		add(&m.Ops, &m.Bad, &f)
	}
	return nil
}

// ops reads an array of live operations.
func (d *decoder) ops(ops *[]Op, bad *int) error {
	return d.array(func() error {
		var f fields
		ok, err := d.object(func(name string) error { return d.field(&f, name) })
		if err != nil {
			return err
		}
		if !ok {
			*bad++
			return nil
		}
		add(ops, bad, &f)
		return nil
	})
}

// add adds the operation that the fields are.
func add(ops *[]Op, bad *int, f *fields) {
	op := Op{ID: f.id, Timestamp: f.timestamp}
	switch f.kind {
	case "upsert":
		if f.value == nil && f.id != "" {
			return
		}
		op.Kind, op.Value = Upsert, f.value
	case "remove":
		op.Kind, op.Value = Remove, f.value
	case "link":
		op.Kind, op.ID, op.Target = Link, f.source, f.target
	case "":
		*bad++
		return
	default:
		return
	}
	if op.ID == "" || op.Kind == Link && op.Target == "" || f.untimed {
		*bad++
		return
	}
	op.Extra = f.object()
	*ops = append(*ops, op)
}

// nodes reads an object of nodes by their ids.
func (d *decoder) nodes(nodes *[]Entry, bad *int) error {
	_, err := d.object(func(key string) error {
		var f fields
		ok, err := d.object(func(name string) error { return d.field(&f, name) })
		if err != nil {
			return err
		}
		if !ok || f.untimed || f.id != key {
			*bad++
			return nil
		}
		if f.value == nil || f.id == "" {
			if f.id == "" {
				*bad++
			}
			return nil
		}
		*nodes = append(*nodes, Entry{ID: f.id, Value: f.value, Edges: distinct(f.edges),
			Timestamp: f.timestamp, Extra: f.object()})
		return nil
	})
	return err
}

// distinct leaves the first of each id.
func distinct(ids []string) []string {
	if len(ids) < 2 {
		return ids
	}
	if len(ids) < 16 {
		out := ids[:0]
		for _, id := range ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
		return out
	}
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(ids, func(id string) bool {
		was := seen[id]
		seen[id] = true
		return was
	})
}
