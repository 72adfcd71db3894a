package session

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// JSON is the encoding of subprotocol genosrtc.v1.json.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Subprotocol() string { return "genosrtc.v1.json" }
func (jsonCodec) Binary() bool        { return false }
func (jsonCodec) slot() int           { return 1 }

func (c jsonCodec) Decode(raw []byte) (Message, error) { return decode(c, raw) }

func (jsonCodec) Encode(m *Message) []byte {
	w := jsonWriter{buf: make([]byte, 0, 128+len(m.Content.Data)*4/3+len(m.Content.Meta))}
	encode(&w, m)
	return w.buf
}

// The keys by which a map is data of another kind, or is not.
const (
	binKey = "$bin"
	mapKey = "$map"
)

// newJSONDecoder reads valid UTF-8. Lone surrogates, which JavaScript writes
// as escapes when an application cut a string in the middle of a character,
// are let through, and so are repeated keys: browsers send both to each other.
func newJSONDecoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(text),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func (jsonCodec) split(raw []byte, found *fieldValues) error {
	if !utf8.Valid(raw) {
		return errNotUTF8
	}
	dec := newJSONDecoder(raw)
	if dec.PeekKind() != jsontext.KindBeginObject {
		return errNotMap
	}
	if err := members(dec, raw, found.set); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("not valid JSON: more than one value")
	}
	return nil
}

// members reads an object of text. The values are parts of text.
func members(dec *jsontext.Decoder, text []byte, member func(string, []byte)) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(dec.InputOffset())
		member(key, text[end-len(value):end])
	}
	_, err := dec.ReadToken()
	return err
}

func (c jsonCodec) read(v []byte, dst any) (bool, error) {
	kind := jsontext.Value(v).Kind()
	if dst, ok := dst.(*engine.Content); ok {
		content, err := readJSONData(v, kind)
		dst.Kind, dst.Data = content.Kind, content.Data
		return true, err
	}
	if kind == jsontext.KindNull {
		return false, nil
	}
	switch dst := dst.(type) {
	case *string:
		if kind != jsontext.KindString {
			return true, errNotString
		}
		*dst = string(unquote(v))
	case *uint64:
		return true, readJSONInteger(v, kind, dst)
	case **uint64:
		*dst = new(uint64)
		return true, readJSONInteger(v, kind, *dst)
	case *float64:
		if kind != jsontext.KindNumber {
			return true, errNotNumber
		}
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return true, errNotNumber
		}
		*dst = f
	case *bool:
		if kind != jsontext.KindTrue && kind != jsontext.KindFalse {
			return true, errNotBool
		}
		*dst = kind == jsontext.KindTrue
	case *[]string:
		return true, c.readStrings(v, kind, dst)
	case *[]byte:
		if jsonDepth(v) > maxDepth {
			return true, errTooDeep
		}
		*dst = bytes.Clone(v)
	}
	return true, nil
}

func readJSONInteger(v []byte, kind jsontext.Kind, dst *uint64) error {
	if kind != jsontext.KindNumber {
		return errNotInteger
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return errNotInteger
	}
	*dst, err = integer(f)
	return err
}

func (c jsonCodec) readStrings(v []byte, kind jsontext.Kind, dst *[]string) error {
	if kind == jsontext.KindString {
		*dst = []string{string(unquote(v))}
		return nil
	}
	if kind != jsontext.KindBeginArray {
		return errNotStrings
	}
	dec := newJSONDecoder(v)
	list := []string{}
	dec.ReadToken()
	for dec.PeekKind() == jsontext.KindString {
		if len(list) == engine.MaxRecipients {
			return errTooManyTargets
		}
		s, err := dec.ReadToken()
		if err != nil {
			return errNotStrings
		}
		list = append(list, s.String())
	}
	if dec.PeekKind() != jsontext.KindEndArray {
		return errNotStrings
	}
	*dst = list
	return nil
}

// readJSONData reads data: a string is text, a map with the one key $bin is
// bytes, and one with the one key $map is the map in it.
func readJSONData(v []byte, kind jsontext.Kind) (engine.Content, error) {
	if kind == jsontext.KindString {
		return engine.Content{Kind: engine.Text, Data: unquote(v)}, nil
	}
	if kind == jsontext.KindBeginObject && mayBeMarked(v) {
		key, inner, err := marked(v)
		if err != nil {
			return engine.Content{}, err
		}
		switch key {
		case binKey:
			return readBytes(inner)
		case mapKey:
			if jsontext.Value(inner).Kind() != jsontext.KindBeginObject {
				return engine.Content{}, fmt.Errorf("%s must be a map", mapKey)
			}
			v = inner
		}
	}
	if jsonDepth(v) > maxDepth {
		return engine.Content{}, errTooDeep
	}
	return engine.Content{Kind: engine.JSON, Data: bytes.Clone(v)}, nil
}

func readBytes(v []byte) (engine.Content, error) {
	if jsontext.Value(v).Kind() != jsontext.KindString {
		return engine.Content{}, fmt.Errorf("%s must be a string", binKey)
	}
	text := unquote(v)
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil {
		return engine.Content{}, fmt.Errorf("%s: %w", binKey, err)
	}
	return engine.Content{Kind: engine.Binary, Data: data[:n]}, nil
}

// mayBeMarked is the cheap test that spares most maps the reading. Keys may be
// spelled with escapes.
func mayBeMarked(object []byte) bool {
	return bytes.Contains(object, []byte(binKey)) || bytes.Contains(object, []byte(mapKey)) ||
		bytes.Contains(object, []byte(`\u`))
}

// marked returns the one key of an object and its value if the key is $bin or
// $map. Either among other keys is an error, "" without one none.
func marked(object []byte) (key string, value []byte, err error) {
	n := 0
	err = members(newJSONDecoder(object), object, func(k string, v []byte) {
		n++
		if k == binKey || k == mapKey {
			key, value = k, v
		}
	})
	if err == nil && key != "" && n != 1 {
		err = fmt.Errorf("a map with a key %s of its own must be wrapped in {%q: …}", key, mapKey)
	}
	return key, value, err
}

// unquote returns the string that a JSON string is. Lone surrogates become the
// replacement character.
func unquote(v []byte) []byte {
	s, _ := jsontext.AppendUnquote(make([]byte, 0, len(v)), v)
	return s
}

// jsonWriter writes JSON text. Since values come in order, what was written
// last tells whether a comma is due.
type jsonWriter struct{ buf []byte }

func (w *jsonWriter) separate() {
	if n := len(w.buf); n > 0 {
		switch w.buf[n-1] {
		case '{', '[', ':':
		default:
			w.buf = append(w.buf, ',')
		}
	}
}

func (w *jsonWriter) beginMap(int)   { w.separate(); w.buf = append(w.buf, '{') }
func (w *jsonWriter) endMap()        { w.buf = append(w.buf, '}') }
func (w *jsonWriter) beginArray(int) { w.separate(); w.buf = append(w.buf, '[') }
func (w *jsonWriter) endArray()      { w.buf = append(w.buf, ']') }

func (w *jsonWriter) key(name string) {
	w.string(name)
	w.buf = append(w.buf, ':')
}

func (w *jsonWriter) string(s string) {
	w.separate()
	w.buf, _ = jsontext.AppendQuote(w.buf, s)
}

func (w *jsonWriter) uint(u uint64) {
	w.separate()
	w.buf = strconv.AppendUint(w.buf, u, 10)
}

func (w *jsonWriter) float(f float64) {
	w.separate()
	w.buf = appendJSONFloat(w.buf, f)
}

func (w *jsonWriter) bool(b bool) {
	w.separate()
	w.buf = strconv.AppendBool(w.buf, b)
}

func (w *jsonWriter) json(text []byte) {
	w.separate()
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	w.buf = append(w.buf, text...)
}

func (w *jsonWriter) data(c engine.Content) {
	w.separate()
	switch {
	case c.Kind == engine.Text:
		w.buf, _ = jsontext.AppendQuote(w.buf, c.Data)
	case c.Kind == engine.Binary:
		w.buf = append(w.buf, `{"$bin":"`...)
		w.buf = base64.StdEncoding.AppendEncode(w.buf, c.Data)
		w.buf = append(w.buf, `"}`...)
	case wantsMap(c.Data):
		w.buf = append(w.buf, `{"$map":`...)
		w.json(c.Data)
		w.buf = append(w.buf, '}')
	default:
		w.json(c.Data)
	}
}

// wantsMap tells whether JSON text is a map that has a key $bin or $map.
func wantsMap(text []byte) bool {
	if jsontext.Value(text).Kind() != jsontext.KindBeginObject || !mayBeMarked(text) {
		return false
	}
	key, _, _ := marked(text)
	return key != ""
}
