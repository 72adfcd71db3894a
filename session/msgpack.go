package session

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// MessagePack is the encoding of subprotocol genosrtc.v1.msgpack.
var MessagePack Codec = msgpackCodec{}

type msgpackCodec struct{}

func (msgpackCodec) Subprotocol() string { return "genosrtc.v1.msgpack" }
func (msgpackCodec) Binary() bool        { return true }
func (msgpackCodec) slot() int           { return 0 }

func (c msgpackCodec) Decode(raw []byte) (Message, error) { return decode(c, raw) }

func (msgpackCodec) Encode(m *Message) []byte {
	w := msgpackWriter{buf: make([]byte, 0, 128+len(m.Content.Data)+len(m.Content.Meta))}
	encode(&w, m)
	return w.buf
}

func (msgpackCodec) split(raw []byte, found *fieldValues) error {
	v, rest, err := nextValue(raw)
	if err != nil || v.kind != kindMap {
		return errNotMap
	}
	for range v.count / 2 {
		key, at, err := cutValue(rest)
		if err == nil {
			_, rest, err = cutValue(at)
		}
		if err != nil {
			return fmt.Errorf("not valid MessagePack: %w", err)
		}
		// A key that is no string is a field that we do not know.
		if key.kind == kindString {
			found.set(string(key.bytes), at[:len(at)-len(rest)])
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("not valid MessagePack: %d bytes after the map", len(rest))
	}
	return nil
}

// text is a string that is valid UTF-8.
func (v value) text() ([]byte, error) {
	switch {
	case v.kind != kindString:
		return nil, errNotString
	case !utf8.Valid(v.bytes):
		return nil, errNotUTF8
	}
	return v.bytes, nil
}

func (c msgpackCodec) read(whole []byte, dst any) (bool, error) {
	v, rest, err := nextValue(whole)
	if err != nil {
		return true, err
	}
	if dst, ok := dst.(*engine.Content); ok {
		return true, readMsgpackData(v, whole, dst)
	}
	if v.kind == kindNil {
		return false, nil
	}
	switch dst := dst.(type) {
	case *string:
		var s []byte
		s, err = v.text()
		*dst = string(s)
	case *uint64:
		*dst, err = v.integer()
	case **uint64:
		*dst = new(uint64)
		**dst, err = v.integer()
	case *float64:
		*dst, err = v.number()
	case *bool:
		if v.kind != kindBool {
			return true, errNotBool
		}
		*dst = v.bits != 0
	case *[]string:
		*dst, err = readStrings(v, rest)
	case *[]byte:
		*dst, _, err = appendJSON(nil, whole, 0)
	}
	return true, err
}

// readMsgpackData reads data: a string is text, bin is bytes.
func readMsgpackData(v value, whole []byte, dst *engine.Content) (err error) {
	switch v.kind {
	case kindString:
		dst.Kind = engine.Text
		dst.Data, err = v.text()
		dst.Data = append([]byte{}, dst.Data...)
	case kindBytes:
		dst.Kind, dst.Data = engine.Binary, append([]byte{}, v.bytes...)
	default:
		dst.Kind = engine.JSON
		dst.Data, _, err = appendJSON(make([]byte, 0, len(whole)), whole, 0)
	}
	return err
}

// integer takes both float widths too, since JavaScript has no other numbers
// and some encoders write them so.
func (v value) integer() (uint64, error) {
	switch {
	case v.kind == kindUint && v.bits <= maxInteger:
		return v.bits, nil
	case v.kind == kindFloat:
		return integer(v.float())
	}
	return 0, errNotInteger
}

// number is a finite number.
func (v value) number() (float64, error) {
	switch v.kind {
	case kindUint:
		return float64(v.bits), nil
	case kindNegative:
		return float64(v.int()), nil
	case kindFloat:
		if f := v.float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
	}
	return 0, errNotNumber
}

// readStrings reads a string, or the array that v begins and rest goes on with.
func readStrings(v value, rest []byte) ([]string, error) {
	switch {
	case v.kind == kindString:
		s, err := v.text()
		return []string{string(s)}, err
	case v.kind != kindArray:
		return nil, errNotStrings
	case v.count > engine.MaxRecipients:
		return nil, errTooManyTargets
	}
	list := make([]string, v.count)
	for i := range list {
		var err error
		if v, rest, err = nextValue(rest); err != nil {
			return nil, err
		}
		if v.kind != kindString {
			return nil, errNotStrings
		}
		s, err := v.text()
		if err != nil {
			return nil, err
		}
		list[i] = string(s)
	}
	return list, nil
}

// msgpackWriter writes MessagePack.
type msgpackWriter struct{ buf []byte }

func (w *msgpackWriter) beginMap(n int)   { w.buf = appendLength(w.buf, n, mapLengths) }
func (w *msgpackWriter) endMap()          {}
func (w *msgpackWriter) beginArray(n int) { w.buf = appendLength(w.buf, n, arrayLengths) }
func (w *msgpackWriter) endArray()        {}
func (w *msgpackWriter) key(name string)  { w.buf = appendString(w.buf, name) }
func (w *msgpackWriter) string(s string)  { w.buf = appendString(w.buf, s) }
func (w *msgpackWriter) uint(u uint64)    { w.buf = appendUint(w.buf, u) }
func (w *msgpackWriter) bool(b bool)      { w.buf = appendBool(w.buf, b) }

// float writes an integer where the number is one, as JavaScript does.
func (w *msgpackWriter) float(f float64) {
	if u, err := integer(f); err == nil {
		w.uint(u)
		return
	}
	w.buf = appendFloat(w.buf, f)
}

func (w *msgpackWriter) json(text []byte) {
	b, err := appendMsgpack(w.buf, text)
	if err != nil {
		// The engine passes on valid JSON only.
		b = appendNil(w.buf)
	}
	w.buf = b
}

func (w *msgpackWriter) data(c engine.Content) {
	switch c.Kind {
	case engine.Text:
		text := c.Data
		if !utf8.Valid(text) {
			text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
		}
		w.buf = appendString(w.buf, text)
	case engine.Binary:
		w.buf = append(appendLength(w.buf, len(c.Data), bytesLengths), c.Data...)
	default:
		w.json(c.Data)
	}
}
