package session

import (
	"fmt"
	"io"
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// kind is what a MessagePack value is.
type kind uint8

const (
	kindNothing kind = iota // a code that is not used
	kindNil
	kindBool
	kindUint
	kindNegative // an integer below 0
	kindFloat
	kindString
	kindBytes
	kindExtension
	kindArray
	kindMap

	kindInt // stands in formats only: kindUint or kindNegative
)

// value is a MessagePack value. Of an array or map it is the beginning: the
// elements, or the keys and values in turn, follow.
type value struct {
	kind  kind
	bits  uint64 // of a bool or number; an int64's or float64's where it is one
	bytes []byte // of a string, bytes, or an extension with its type
	count int    // values that follow
}

func (v value) isNumber() bool { return v.kind >= kindUint && v.kind <= kindFloat }
func (v value) int() int64     { return int64(v.bits) }
func (v value) float() float64 { return math.Float64frombits(v.bits) }

// formats are those of the codes from 0xc0 to 0xdf: what they begin, and the
// width of the number that comes next, in bytes.
var formats = [...]struct {
	kind  kind
	width int
}{
	{kindNil, 0}, {kindNothing, 0}, {kindBool, 0}, {kindBool, 0},
	{kindBytes, 1}, {kindBytes, 2}, {kindBytes, 4},
	{kindExtension, 1}, {kindExtension, 2}, {kindExtension, 4},
	{kindFloat, 4}, {kindFloat, 8},
	{kindUint, 1}, {kindUint, 2}, {kindUint, 4}, {kindUint, 8},
	{kindInt, 1}, {kindInt, 2}, {kindInt, 4}, {kindInt, 8},
	{kindExtension, 0}, {kindExtension, 0}, {kindExtension, 0}, {kindExtension, 0}, {kindExtension, 0},
	{kindString, 1}, {kindString, 2}, {kindString, 4},
	{kindArray, 2}, {kindArray, 4},
	{kindMap, 2}, {kindMap, 4},
}

// nextValue reads the value that b begins with, and returns what follows. It
// copies nothing. The library's decoder reads from an io.Reader and is made
// anew for each value, which took longer than all else that is done to a small
// message.
func nextValue(b []byte) (v value, rest []byte, err error) {
	if len(b) == 0 {
		return v, nil, io.ErrUnexpectedEOF
	}
	code := b[0]
	b = b[1:]
	switch {
	case code <= msgpcode.PosFixedNumHigh:
		return value{kind: kindUint, bits: uint64(code)}, b, nil
	case code >= msgpcode.NegFixedNumLow:
		return value{kind: kindNegative, bits: uint64(int8(code))}, b, nil
	case msgpcode.IsFixedMap(code):
		return contain(kindMap, uint64(code&msgpcode.FixedMapMask), b)
	case msgpcode.IsFixedArray(code):
		return contain(kindArray, uint64(code&msgpcode.FixedArrayMask), b)
	case msgpcode.IsFixedString(code):
		return contain(kindString, uint64(code&msgpcode.FixedStrMask), b)
	}
	format := formats[code-msgpcode.Nil]
	if len(b) < format.width {
		return v, nil, io.ErrUnexpectedEOF
	}
	var n uint64
	for _, c := range b[:format.width] {
		n = n<<8 | uint64(c)
	}
	b = b[format.width:]
	switch format.kind {
	case kindNothing:
		return v, nil, fmt.Errorf("code %#x means nothing", code)
	case kindNil, kindUint:
		return value{kind: format.kind, bits: n}, b, nil
	case kindBool:
		return value{kind: kindBool, bits: uint64(code - msgpcode.False)}, b, nil
	case kindInt:
		unused := 64 - 8*format.width
		n = uint64(int64(n<<unused) >> unused) // with its sign
		if int64(n) < 0 {
			return value{kind: kindNegative, bits: n}, b, nil
		}
		return value{kind: kindUint, bits: n}, b, nil
	case kindFloat:
		if format.width == 4 {
			n = math.Float64bits(float64(math.Float32frombits(uint32(n))))
		}
		return value{kind: kindFloat, bits: n}, b, nil
	case kindExtension:
		if format.width == 0 {
			n = 1 << (code - msgpcode.FixExt1)
		}
		n++ // its type
	}
	return contain(format.kind, n, b)
}

// contain makes a value of the n bytes, elements or pairs that b begins with.
// Each takes a byte at least, so that a count can be trusted.
func contain(k kind, n uint64, b []byte) (value, []byte, error) {
	if k == kindMap {
		n *= 2
	}
	if n > uint64(len(b)) {
		return value{}, nil, io.ErrUnexpectedEOF
	}
	if k == kindMap || k == kindArray {
		return value{kind: k, count: int(n)}, b, nil
	}
	return value{kind: k, bytes: b[:n:n]}, b[n:], nil
}

// cutValue reads the value that b begins with and cuts all of it off, with what
// an array or map contains. It needs no stack, which a client could exhaust.
func cutValue(b []byte) (first value, rest []byte, err error) {
	first, rest, err = nextValue(b)
	for todo := first.count; todo > 0 && err == nil; todo-- {
		var v value
		if v, rest, err = nextValue(rest); err == nil {
			todo += v.count
		}
		if todo-1 > len(rest) {
			err = io.ErrUnexpectedEOF
		}
	}
	return first, rest, err
}
