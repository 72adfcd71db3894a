package session

import (
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// What follows appends MessagePack values in their shortest form, to a slice
// and without an io.Writer and a pooled encoder between, as nextValue reads
// them.

// lengths are the codes of a type whose values begin with a length: with the
// length in the code itself, up to most, or after the code in 1, 2 or 4 bytes.
type lengths struct {
	fixed          byte
	most           int // -1: none
	one, two, four byte
}

var (
	stringLengths = lengths{msgpcode.FixedStrLow, 31, msgpcode.Str8, msgpcode.Str16, msgpcode.Str32}
	bytesLengths  = lengths{0, -1, msgpcode.Bin8, msgpcode.Bin16, msgpcode.Bin32}
	arrayLengths  = lengths{msgpcode.FixedArrayLow, 15, 0, msgpcode.Array16, msgpcode.Array32}
	mapLengths    = lengths{msgpcode.FixedMapLow, 15, 0, msgpcode.Map16, msgpcode.Map32}
)

func appendLength(b []byte, n int, l lengths) []byte {
	switch {
	case n <= l.most:
		return append(b, l.fixed|byte(n))
	case n <= math.MaxUint8 && l.one != 0:
		return append(b, l.one, byte(n))
	case n <= math.MaxUint16:
		return appendBigEndian(append(b, l.two), uint64(n), 2)
	}
	return appendBigEndian(append(b, l.four), uint64(n), 4)
}

// appendBigEndian appends the low bytes of n.
func appendBigEndian(b []byte, n uint64, width int) []byte {
	for shift := 8 * (width - 1); shift >= 0; shift -= 8 {
		b = append(b, byte(n>>shift))
	}
	return b
}

func appendString[S []byte | string](b []byte, s S) []byte {
	return append(appendLength(b, len(s), stringLengths), s...)
}

func appendUint(b []byte, u uint64) []byte {
	switch {
	case u <= uint64(msgpcode.PosFixedNumHigh):
		return append(b, byte(u))
	case u <= math.MaxUint8:
		return append(b, msgpcode.Uint8, byte(u))
	case u <= math.MaxUint16:
		return appendBigEndian(append(b, msgpcode.Uint16), u, 2)
	case u <= math.MaxUint32:
		return appendBigEndian(append(b, msgpcode.Uint32), u, 4)
	}
	return appendBigEndian(append(b, msgpcode.Uint64), u, 8)
}

func appendInt(b []byte, i int64) []byte {
	switch {
	case i >= 0:
		return appendUint(b, uint64(i))
	case i >= -32:
		return append(b, byte(i))
	case i >= math.MinInt8:
		return append(b, msgpcode.Int8, byte(i))
	case i >= math.MinInt16:
		return appendBigEndian(append(b, msgpcode.Int16), uint64(i), 2)
	case i >= math.MinInt32:
		return appendBigEndian(append(b, msgpcode.Int32), uint64(i), 4)
	}
	return appendBigEndian(append(b, msgpcode.Int64), uint64(i), 8)
}

func appendFloat(b []byte, f float64) []byte {
	return appendBigEndian(append(b, msgpcode.Double), math.Float64bits(f), 8)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, msgpcode.True)
	}
	return append(b, msgpcode.False)
}

func appendNil(b []byte) []byte { return append(b, msgpcode.Nil) }
