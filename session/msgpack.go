package session

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

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
	var w msgpackWriter
	w.buf.Grow(128 + len(m.Content.Data) + len(m.Content.Meta))
	w.enc = msgpack.GetEncoder()
	defer msgpack.PutEncoder(w.enc)
	w.enc.Reset(&w.buf)
	encode(&w, m)
	return w.buf.Bytes()
}

func (msgpackCodec) split(raw []byte, member func(string, []byte)) error {
	r := bytes.NewReader(raw)
	dec := msgpack.NewDecoder(r)
	code, err := dec.PeekCode()
	if err != nil || !isMap(code) {
		return errNotMap
	}
	n, err := dec.DecodeMapLen()
	if err != nil {
		return fmt.Errorf("not valid MessagePack: %w", err)
	}
	for range n {
		var parts [2][]byte // key and value
		for i := range parts {
			start := len(raw) - r.Len()
			if err := skip(r, dec); err != nil {
				return fmt.Errorf("not valid MessagePack: %w", err)
			}
			parts[i] = raw[start : len(raw)-r.Len()]
		}
		// A key that is no string is a field that we do not know.
		if key, err := decodeText(parts[0]); err == nil {
			member(string(key), parts[1])
		}
	}
	if r.Len() > 0 {
		return fmt.Errorf("not valid MessagePack: %d bytes after the map", r.Len())
	}
	return nil
}

// decodeText reads a whole value that must be a string.
func decodeText(v []byte) ([]byte, error) {
	if !msgpcode.IsString(v[0]) {
		return nil, errNotString
	}
	s, err := newMsgpackDecoder(v).DecodeBytes()
	if err == nil && !utf8.Valid(s) {
		err = errNotUTF8
	}
	return s, err
}

func newMsgpackDecoder(v []byte) *msgpack.Decoder {
	return msgpack.NewDecoder(bytes.NewReader(v))
}

func (c msgpackCodec) read(v []byte, dst any) (bool, error) {
	code := v[0]
	if dst, ok := dst.(*engine.Content); ok {
		content, err := readMsgpackData(v)
		dst.Kind, dst.Data = content.Kind, content.Data
		return true, err
	}
	if code == msgpcode.Nil {
		return false, nil
	}
	var err error
	switch dst := dst.(type) {
	case *string:
		var s []byte
		s, err = decodeText(v)
		*dst = string(s)
	case *uint64:
		*dst, err = readInteger(v)
	case *float64:
		if !isNumber(code) {
			return true, errNotNumber
		}
		*dst, err = newMsgpackDecoder(v).DecodeFloat64()
		if math.IsNaN(*dst) || math.IsInf(*dst, 0) {
			err = errNotNumber
		}
	case *bool:
		if code != msgpcode.True && code != msgpcode.False {
			return true, errNotBool
		}
		*dst = code == msgpcode.True
	case *[]string:
		*dst, err = readStrings(v)
	case *[]byte:
		*dst, err = appendJSON(nil, newMsgpackDecoder(v), 0)
	case *presence:
		*dst = true
	}
	return true, err
}

// readMsgpackData reads data: a string is text, bin is bytes.
func readMsgpackData(v []byte) (engine.Content, error) {
	switch code := v[0]; {
	case msgpcode.IsString(code):
		s, err := decodeText(v)
		return engine.Content{Kind: engine.Text, Data: s}, err
	case msgpcode.IsBin(code):
		b, err := newMsgpackDecoder(v).DecodeBytes()
		return engine.Content{Kind: engine.Binary, Data: b}, err
	}
	text, err := appendJSON(make([]byte, 0, len(v)), newMsgpackDecoder(v), 0)
	return engine.Content{Kind: engine.JSON, Data: text}, err
}

// readInteger takes both float widths too, since JavaScript has no other
// numbers and some encoders write them so.
func readInteger(v []byte) (uint64, error) {
	dec, code := newMsgpackDecoder(v), v[0]
	switch {
	case code == msgpcode.Uint64:
		u, err := dec.DecodeUint64()
		if err != nil || u > maxInteger {
			return 0, errNotInteger
		}
		return u, nil
	case isInteger(code):
		i, err := dec.DecodeInt64()
		if err != nil || i < 0 || i > maxInteger {
			return 0, errNotInteger
		}
		return uint64(i), nil
	case isNumber(code):
		f, err := dec.DecodeFloat64()
		if err != nil {
			return 0, err
		}
		return integer(f)
	}
	return 0, errNotInteger
}

func isNumber(code byte) bool {
	return isInteger(code) || code == msgpcode.Float || code == msgpcode.Double
}

func readStrings(v []byte) ([]string, error) {
	if msgpcode.IsString(v[0]) {
		s, err := decodeText(v)
		return []string{string(s)}, err
	}
	if !isArray(v[0]) {
		return nil, errNotStrings
	}
	dec := newMsgpackDecoder(v)
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return nil, err
	}
	if n > maxTargets {
		return nil, errTooManyTargets
	}
	list := make([]string, n)
	for i := range list {
		code, err := dec.PeekCode()
		if err != nil {
			return nil, err
		}
		if !msgpcode.IsString(code) {
			return nil, errNotStrings
		}
		if list[i], err = dec.DecodeString(); err != nil {
			return nil, err
		}
		if !utf8.ValidString(list[i]) {
			return nil, errNotUTF8
		}
	}
	return list, nil
}

// msgpackWriter writes MessagePack. Writing to memory does not fail.
type msgpackWriter struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

func (w *msgpackWriter) beginMap(n int)   { w.enc.EncodeMapLen(n) }
func (w *msgpackWriter) endMap()          {}
func (w *msgpackWriter) beginArray(n int) { w.enc.EncodeArrayLen(n) }
func (w *msgpackWriter) endArray()        {}
func (w *msgpackWriter) key(name string)  { w.enc.EncodeString(name) }
func (w *msgpackWriter) string(s string)  { w.enc.EncodeString(s) }
func (w *msgpackWriter) uint(u uint64)    { w.enc.EncodeUint(u) }
func (w *msgpackWriter) bool(b bool)      { w.enc.EncodeBool(b) }

// float writes an integer where the number is one, as JavaScript does.
func (w *msgpackWriter) float(f float64) {
	if u, err := integer(f); err == nil {
		w.enc.EncodeUint(u)
		return
	}
	w.enc.EncodeFloat64(f)
}

func (w *msgpackWriter) json(text []byte) {
	at := w.buf.Len()
	if err := encodeJSON(w.enc, text); err != nil {
		// The engine passes on valid JSON only.
		w.buf.Truncate(at)
		w.enc.EncodeNil()
	}
}

func (w *msgpackWriter) data(c engine.Content) {
	switch c.Kind {
	case engine.Text:
		w.enc.EncodeString(strings.ToValidUTF8(string(c.Data), "\uFFFD"))
	case engine.Binary:
		w.enc.EncodeBytesLen(len(c.Data))
		w.buf.Write(c.Data)
	default:
		w.json(c.Data)
	}
}
