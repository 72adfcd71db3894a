package session

import (
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// JSON values are turned from one encoding into the other as a stream, without
// maps in between, so that the order of keys, repeated keys and all digits of
// integers up to 64 bits stay.

// appendMsgpack appends JSON text as MessagePack. That wants to know sizes
// beforehand, so the text is run through twice.
func appendMsgpack(b, text []byte) ([]byte, error) {
	sizes, _ := containers(text)
	dec := newJSONDecoder(text)
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		switch kind := tok.Kind(); kind {
		case jsontext.KindNull:
			b = appendNil(b)
		case jsontext.KindTrue, jsontext.KindFalse:
			b = appendBool(b, tok.Bool())
		case jsontext.KindString:
			b = appendString(b, tok.String())
		case jsontext.KindNumber:
			b = appendNumber(b, tok.String())
		case jsontext.KindBeginObject:
			b = appendLength(b, sizes[0], mapLengths)
			sizes = sizes[1:]
		case jsontext.KindBeginArray:
			b = appendLength(b, sizes[0], arrayLengths)
			sizes = sizes[1:]
		}
	}
}

// appendNumber appends a number with no fraction as an integer. Negative zero
// has no integer.
func appendNumber(b []byte, s string) []byte {
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return appendUint(b, u)
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil && i != 0 {
		return appendInt(b, i)
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range: an infinity
	switch {
	case math.IsInf(f, 0):
		return appendNil(b)
	case f == math.Trunc(f) && math.Abs(f) <= maxInteger && !(f == 0 && math.Signbit(f)):
		return appendInt(b, int64(f))
	}
	return appendFloat(b, f)
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

// appendJSON reads the value that b begins with and appends it as JSON text. It
// returns what follows. It is an error if JSON cannot say it.
func appendJSON(dst, b []byte, depth int) (text, rest []byte, err error) {
	v, rest, err := nextValue(b)
	if err != nil {
		return dst, nil, err
	}
	switch v.kind {
	case kindNil:
		dst = append(dst, "null"...)
	case kindBool:
		dst = strconv.AppendBool(dst, v.bits != 0)
	case kindUint:
		dst = strconv.AppendUint(dst, v.bits, 10)
	case kindNegative:
		dst = strconv.AppendInt(dst, v.int(), 10)
	case kindFloat:
		dst = appendJSONFloat(dst, v.float())
	case kindString:
		dst, err = appendJSONString(dst, v)
	case kindArray, kindMap:
		if depth == maxDepth {
			return dst, nil, errTooDeep
		}
		if v.kind == kindMap {
			return appendJSONMap(dst, rest, v.count/2, depth+1)
		}
		return appendJSONArray(dst, rest, v.count, depth+1)
	case kindBytes:
		err = errors.New("bytes may only be the whole of data")
	default:
		err = errExtension
	}
	return dst, rest, err
}

// appendJSONMap appends a map of n pairs, which b begins with.
func appendJSONMap(dst, b []byte, n, depth int) (text, rest []byte, err error) {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		var key value
		if key, b, err = nextValue(b); err != nil {
			return dst, nil, err
		}
		if key.kind != kindString {
			return dst, nil, errors.New("a map key is not a string")
		}
		if dst, err = appendJSONString(dst, key); err != nil {
			return dst, nil, err
		}
		dst = append(dst, ':')
		if dst, b, err = appendJSON(dst, b, depth); err != nil {
			return dst, nil, err
		}
	}
	return append(dst, '}'), b, nil
}

// appendJSONArray appends an array of n elements, which b begins with.
func appendJSONArray(dst, b []byte, n, depth int) (text, rest []byte, err error) {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, b, err = appendJSON(dst, b, depth); err != nil {
			return dst, nil, err
		}
	}
	return append(dst, ']'), b, nil
}

func appendJSONString(dst []byte, v value) ([]byte, error) {
	s, err := v.text()
	if err != nil {
		return dst, err
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
