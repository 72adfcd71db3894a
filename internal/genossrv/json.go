package genossrv

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// maxDepth bounds how deep values nest.
const maxDepth = 10_000

// appendJSON reads a value of MessagePack and appends its JSON, as JSON.stringify
// would write it; keys keep their order.
func appendJSON(b []byte, d *msgpack.Decoder, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errors.New("it nests too deeply")
	}
	code, err := d.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		n, err := d.DecodeMapLen()
		if err != nil {
			return nil, err
		}
		b = append(b, '{')
		for i := range n {
			key, err := d.DecodeString()
			if err != nil {
				return nil, fmt.Errorf("a key: %w", err)
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			if b, err = appendJSON(b, d, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		n, err := d.DecodeArrayLen()
		if err != nil {
			return nil, err
		}
		b = append(b, '[')
		for i := range n {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, d, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case msgpcode.IsString(code):
		s, err := d.DecodeString()
		return appendString(b, s), err
	case msgpcode.IsBin(code):
		return nil, errors.New("it has bytes, which JSON has not")
	}
	v, err := d.DecodeInterface()
	if err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case float32:
		v = float64(x)
	case time.Time:
		v = x.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		v = nil
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}

// appendString appends a string. What of it is not UTF-8 is replaced.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
