package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// JSON values are turned from one encoding into the other as a stream, without
// maps in between, so that the order of keys, repeated keys and all digits of
// integers up to 64 bits stay.

// encodeJSON writes JSON text as MessagePack. MessagePack wants to know sizes
// beforehand, so the text is run through twice.
func encodeJSON(enc *msgpack.Encoder, text []byte) error {
	sizes, _ := containers(text)
	dec := newJSONDecoder(text)
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch kind := tok.Kind(); kind {
		case jsontext.KindNull:
			err = enc.EncodeNil()
		case jsontext.KindTrue, jsontext.KindFalse:
			err = enc.EncodeBool(tok.Bool())
		case jsontext.KindString:
			err = enc.EncodeString(tok.String())
		case jsontext.KindNumber:
			err = encodeNumber(enc, tok.String())
		case jsontext.KindBeginObject:
			err = enc.EncodeMapLen(sizes[0])
			sizes = sizes[1:]
		case jsontext.KindBeginArray:
			err = enc.EncodeArrayLen(sizes[0])
			sizes = sizes[1:]
		}
		if err != nil {
			return err
		}
	}
}

// encodeNumber writes a number with no fraction as an integer. Negative zero
// has no integer.
func encodeNumber(enc *msgpack.Encoder, s string) error {
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return enc.EncodeUint(u)
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && i != 0 {
		return enc.EncodeInt(i)
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range: an infinity
	switch {
	case math.IsInf(f, 0):
		return enc.EncodeNil()
	case f == math.Trunc(f) && math.Abs(f) <= maxInteger && !(f == 0 && math.Signbit(f)):
		return enc.EncodeInt(int64(f))
	}
	return enc.EncodeFloat64(f)
}

// containers returns the sizes of the arrays and maps of valid JSON text, in
// the order in which they begin, and how deep they are nested.
func containers(text []byte) (sizes []int, depth int) {
	var open []int
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case ' ', '\t', '\r', '\n', ':':
			continue
		case '}', ']':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
			continue
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
		// A comma, or a part of an element: the first one makes it one element,
		// each comma one more.
		if len(open) > 0 {
			if n := &sizes[open[len(open)-1]]; *n == 0 || c == ',' {
				*n++
			}
		}
		if c == '{' || c == '[' {
			open = append(open, len(sizes))
			sizes = append(sizes, 0)
			depth = max(depth, len(open))
		}
	}
	return sizes, depth
}

func jsonDepth(text []byte) int {
	_, depth := containers(text)
	return depth
}

var errExtension = errors.New("extension types are not JSON")

// appendJSON reads one whole and well-formed MessagePack value and appends it
// as JSON text. It is an error if JSON cannot say it.
func appendJSON(dst []byte, dec *msgpack.Decoder, depth int) ([]byte, error) {
	code, err := dec.PeekCode()
	if err != nil {
		return dst, err
	}
	switch {
	case code == msgpcode.Nil:
		return append(dst, "null"...), dec.DecodeNil()
	case code == msgpcode.False, code == msgpcode.True:
		b, err := dec.DecodeBool()
		return strconv.AppendBool(dst, b), err
	case msgpcode.IsString(code):
		return appendJSONString(dst, dec)
	case isMap(code), isArray(code):
		if depth == maxDepth {
			return dst, errTooDeep
		}
		if isMap(code) {
			return appendJSONMap(dst, dec, depth+1)
		}
		return appendJSONArray(dst, dec, depth+1)
	case code == msgpcode.Float, code == msgpcode.Double:
		f, err := dec.DecodeFloat64()
		return appendJSONFloat(dst, f), err
	case code == msgpcode.Uint64:
		u, err := dec.DecodeUint64()
		return strconv.AppendUint(dst, u, 10), err
	case isInteger(code):
		i, err := dec.DecodeInt64()
		return strconv.AppendInt(dst, i, 10), err
	case msgpcode.IsBin(code):
		return dst, errors.New("bytes may only be the whole of data")
	}
	return dst, errExtension
}

func appendJSONMap(dst []byte, dec *msgpack.Decoder, depth int) ([]byte, error) {
	n, err := dec.DecodeMapLen()
	if err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		code, err := dec.PeekCode()
		if err != nil {
			return dst, err
		}
		if !msgpcode.IsString(code) {
			return dst, errors.New("a map key is not a string")
		}
		if dst, err = appendJSONString(dst, dec); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
		if dst, err = appendJSON(dst, dec, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendJSONArray(dst []byte, dec *msgpack.Decoder, depth int) ([]byte, error) {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, dec, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendJSONString(dst []byte, dec *msgpack.Decoder) ([]byte, error) {
	s, err := dec.DecodeBytes()
	if err != nil {
		return dst, err
	}
	if !utf8.Valid(s) {
		return dst, errNotUTF8
	}
	return jsontext.AppendQuote(dst, s)
}

// appendJSONFloat appends a number as JavaScript writes it, and null for what
// is none.
func appendJSONFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return jsontext.AppendFloat(dst, f, 64)
}

// skip passes over one value, whatever it is, and makes sure that it is whole.
// Unlike the library's own it needs no stack, which a client could exhaust.
func skip(r *bytes.Reader, dec *msgpack.Decoder) error {
	for todo := 1; todo > 0; todo-- {
		code, err := dec.PeekCode()
		if err != nil {
			return err
		}
		n := 0 // values inside
		size := 0
		switch {
		case isMap(code):
			n, err = dec.DecodeMapLen()
			n *= 2
		case isArray(code):
			n, err = dec.DecodeArrayLen()
		case msgpcode.IsString(code), msgpcode.IsBin(code):
			size, err = dec.DecodeBytesLen()
		case msgpcode.IsExt(code):
			_, size, err = dec.DecodeExtHeader()
		case code == msgpcode.Nil:
			err = dec.DecodeNil()
		case code == msgpcode.False, code == msgpcode.True:
			_, err = dec.DecodeBool()
		case code == msgpcode.Float, code == msgpcode.Double:
			_, err = dec.DecodeFloat64()
		case isInteger(code):
			_, err = dec.DecodeInt64()
		default:
			return fmt.Errorf("code %#x means nothing", code)
		}
		if err != nil {
			return err
		}
		if n < 0 || size < 0 || size > r.Len() || todo+n > r.Len()+1 {
			return io.ErrUnexpectedEOF // a value takes a byte at least
		}
		if _, err := r.Seek(int64(size), io.SeekCurrent); err != nil {
			return err
		}
		todo += n
	}
	return nil
}

func isMap(code byte) bool {
	return msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32
}

func isArray(code byte) bool {
	return msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32
}

func isInteger(code byte) bool {
	return msgpcode.IsFixedNum(code) || code >= msgpcode.Uint8 && code <= msgpcode.Int64
}
