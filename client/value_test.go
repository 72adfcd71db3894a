package client

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// TestValues are values as they are sent, and as they arrive in both encodings.
func TestValues(t *testing.T) {
	type m = map[string]any
	for _, v := range []struct {
		in, out any
		json    string
	}{
		{"text", "text", `"text"`},
		{[]byte{0, 1, 2}, []byte{0, 1, 2}, `{"$bin":"AAEC"}`},
		{[]byte{}, []byte{}, `{"$bin":""}`},
		{5, int64(5), `5`},
		{uint64(math.MaxUint64), uint64(math.MaxUint64), `18446744073709551615`},
		{-1, int64(-1), `-1`},
		{2.5, 2.5, `2.5`},
		{true, true, `true`},
		{nil, nil, `null`},
		{[]int{1, 2}, []any{int64(1), int64(2)}, `[1,2]`},
		{struct {
			A string `json:"a"`
		}{"b"}, m{"a": "b"}, `{"a":"b"}`},
		{m{"$bin": "text"}, m{"$bin": "text"}, `{"$map":{"$bin":"text"}}`},
		{m{"$map": 1}, m{"$map": int64(1)}, `{"$map":{"$map":1}}`},
		{[]any{m{"$bin": ""}}, []any{m{"$bin": ""}}, `[{"$bin":""}]`},
	} {
		d, err := newData(v.in)
		if err != nil {
			t.Errorf("%v: %v", v.in, err)
			continue
		}
		if got, err := json.Marshal(d); v.json != "" && (err != nil || string(got) != v.json) {
			t.Errorf("%v: %s, %v; want %s", v.in, got, err, v.json)
		}
		for _, c := range []codec{jsonCodec{}, msgpackCodec{}} {
			raw, err := c.encode(&frame{Op: opSend, Seq: 1, Data: d})
			if err != nil {
				t.Errorf("%v: %v", v.in, err)
				continue
			}
			f, err := c.decode(raw)
			if err != nil {
				t.Errorf("%v: %s: %v", v.in, raw, err)
				continue
			}
			var got any
			if f.Data != nil {
				got = f.Data.v
			}
			if !reflect.DeepEqual(got, v.out) {
				t.Errorf("%s: got %#v, want %#v", c.subprotocol(), got, v.out)
			}
		}
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), func() {}, map[string]any{"f": math.NaN()}} {
		if _, err := newData(bad); err == nil {
			t.Errorf("%T was taken", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, d := range []any{"x", []byte{1}, map[string]any{"$bin": []any{1}}, nil} {
		for _, c := range []codec{jsonCodec{}, msgpackCodec{}} {
			raw, err := c.encode(&frame{Op: opMessage, Seq: 1, Data: &data{d}, Meta: &meta{1}, Offset: new(int64), Peers: []Peer{{"a", "b"}}})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, c := range []codec{jsonCodec{}, msgpackCodec{}} {
			m, err := c.decode(raw)
			if err != nil {
				continue
			}
			if again, err := c.encode(m); err == nil {
				if _, err := c.decode(again); err != nil {
					t.Errorf("%s: %v after encoding %+v", c.subprotocol(), err, m)
				}
			}
		}
	})
}

// TestEncodingIsStable holds what a transfer that goes on needs: its begin is
// the same again, byte by byte, or the server takes it for another one.
func TestEncodingIsStable(t *testing.T) {
	m, err := newMeta(map[string]any{"a": 1, "b": 2, "c": map[string]any{"d": 3, "e": 4, "f": 5}, "g": 6, "h": 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, codec := range []codec{msgpackCodec{}, jsonCodec{}} {
		first, err := codec.encode(&frame{Op: opBegin, Meta: m})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if again, err := codec.encode(&frame{Op: opBegin, Meta: m}); err != nil || string(again) != string(first) {
				t.Fatalf("%s: %q, then %q, %v", codec.subprotocol(), first, again, err)
			}
		}
	}
}
