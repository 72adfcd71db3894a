package graph

import (
	"bytes"
	"cmp"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is the type of a JSON value. Values of different kinds are ordered by them.
type kind uint8

const (
	missing kind = iota
	nullKind
	falseKind
	trueKind
	numberKind
	stringKind
	nestedKind // an array or an object
)

// value is a JSON value, ready for comparison.
type value struct {
	kind   kind
	number float64
	// text is a string's, or the canonical JSON (RFC 8785) of an array or object.
	text []byte
}

// valueOf reads valid JSON; nothing is a missing value. It may share memory with raw.
func valueOf(raw jsontext.Value) value {
	switch raw.Kind() {
	case jsontext.KindNull:
		return value{kind: nullKind}
	case jsontext.KindFalse:
		return value{kind: falseKind}
	case jsontext.KindTrue:
		return value{kind: trueKind}
	case jsontext.KindNumber:
		n, _ := strconv.ParseFloat(string(raw), 64) // out of range it is infinite
		return value{kind: numberKind, number: max(-math.MaxFloat64, min(n, math.MaxFloat64))}
	case jsontext.KindString:
		text := raw[1 : len(raw)-1]
		if bytes.IndexByte(raw, '\\') >= 0 {
			// Of a lone surrogate it makes U+FFFD, and says so.
			text, _ = jsontext.AppendUnquote(jsontext.Value(nil), raw)
		}
		return value{kind: stringKind, text: text}
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		canonical := raw.Clone()
		if err := canonical.Canonicalize(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
			return value{} // it is not valid
		}
		return value{kind: nestedKind, text: canonical}
	}
	return value{}
}

// maxOrderText is how many bytes of a string count in an order. They are in cursors,
// and these in URLs.
const maxOrderText = 256

// orderOf is where a value is in an order. All arrays and objects are in one place.
func orderOf(raw jsontext.Value) value {
	if k := raw.Kind(); k == jsontext.KindBeginObject || k == jsontext.KindBeginArray {
		return value{kind: nestedKind}
	}
	v := valueOf(raw)
	v.text = v.text[:min(len(v.text), maxOrderText)]
	return v
}

// compare orders values: by kind, numbers by size, strings by their UTF-8.
func (v *value) compare(u *value) int {
	return cmp.Or(cmp.Compare(v.kind, u.kind), cmp.Compare(v.number, u.number), bytes.Compare(v.text, u.text))
}

// equal tells whether they are the same.
func (v *value) equal(u *value) bool { return v.compare(u) == 0 }
