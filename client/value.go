package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// data is the value of a message (docs/gateway.md, "Encoding details"). What
// arrives is a string, []byte, nil, bool, int64, uint64 (above all int64),
// float64, []any or map[string]any, in both encodings.
type data struct{ v any }

// meta is a JSON value beside it.
type meta struct{ v any }

// history is a number in hello and a boolean in message.
type history int

// newData checks a value and brings it into the form in which it is encoded:
// bytes and strings as they are, all others as encoding/json sees them.
func newData(v any) (*data, error) {
	switch v := v.(type) {
	case nil, string, []byte, bool, int64, float64:
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			break
		}
		return &data{v}, nil
	}
	m, err := newMeta(v)
	if err != nil {
		return nil, fmt.Errorf("client: data: %w", err)
	}
	return (*data)(m), nil
}

func newMeta(v any) (*meta, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	plain, err := plainJSON(text)
	if err != nil {
		return nil, err
	}
	return &meta{plain}, nil
}

// plainJSON decodes JSON, and keeps integers as such.
func plainJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return plain(v), nil
}

// plain brings a decoded value into the form that data promises.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		var u uint64
		if json.Unmarshal([]byte(v), &u) == nil {
			return u
		}
		f, _ := v.Float64() // infinite where JSON says more than a float can
		return f
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case float32:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// The keys by which JSON says bytes, and that a map is none.
const (
	binKey = "$bin"
	mapKey = "$map"
)

func (d *data) MarshalJSON() ([]byte, error) {
	switch v := d.v.(type) {
	case []byte:
		return json.Marshal(map[string][]byte{binKey: v})
	case map[string]any:
		_, bin := v[binKey]
		_, wrapped := v[mapKey]
		if bin || wrapped {
			return json.Marshal(map[string]any{mapKey: v})
		}
	}
	return json.Marshal(d.v)
}

func (d *data) UnmarshalJSON(text []byte) error {
	v, err := plainJSON(text)
	if err != nil {
		return err
	}
	d.v = v
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if inner, ok := m[mapKey]; ok {
		d.v = inner
		return nil
	}
	if _, ok := m[binKey]; ok {
		var b struct {
			Bin []byte `json:"$bin"`
		}
		if err := json.Unmarshal(text, &b); err != nil {
			return fmt.Errorf("data: %w", err)
		}
		if b.Bin == nil {
			return errors.New("data: $bin is no base64")
		}
		d.v = b.Bin
	}
	return nil
}

func (m *meta) MarshalJSON() ([]byte, error) { return json.Marshal(m.v) }

func (m *meta) UnmarshalJSON(text []byte) (err error) {
	m.v, err = plainJSON(text)
	return err
}

func (d *data) EncodeMsgpack(e *msgpack.Encoder) error { return e.Encode(d.v) }
func (m *meta) EncodeMsgpack(e *msgpack.Encoder) error { return e.Encode(m.v) }

func (d *data) DecodeMsgpack(dec *msgpack.Decoder) error {
	v, err := dec.DecodeInterface()
	d.v = plain(v)
	return err
}

func (m *meta) DecodeMsgpack(dec *msgpack.Decoder) error {
	v, err := dec.DecodeInterface()
	m.v = plain(v)
	return err
}

func (h *history) UnmarshalJSON(text []byte) error {
	v, err := plainJSON(text)
	h.set(v)
	return err
}

func (h *history) DecodeMsgpack(dec *msgpack.Decoder) error {
	v, err := dec.DecodeInterface()
	h.set(plain(v))
	return err
}

func (h *history) set(v any) {
	switch v := v.(type) {
	case bool:
		if *h = 0; v {
			*h = 1
		}
	case int64:
		*h = history(v)
	}
}
