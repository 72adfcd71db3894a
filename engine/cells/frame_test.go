package cells

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecode(t *testing.T) {
	bare := Frame{Kind: "msg", ID: "x", TTL: -1, Origin: "o", OriginCell: -1}
	with := func(change func(*Frame)) Frame { f := bare; change(&f); return f }
	long := strings.Repeat("é", MaxID/2)
	for _, c := range []struct {
		rest string // of the fields of a frame with t, id and origin
		want Frame
	}{
		{``, bare},
		{`,"ttl":0`, with(func(f *Frame) { f.TTL = 0 })},
		{`,"ttl":9`, with(func(f *Frame) { f.TTL = 9 })},
		{`,"ttl":2.5`, with(func(f *Frame) { f.TTL = 2 })},
		{`,"ttl":1e3`, with(func(f *Frame) { f.TTL = 150 })},
		{`,"ttl":1e999`, with(func(f *Frame) { f.TTL = 150 })},
		{`,"ttl":-1e999`, bare},
		{`,"ttl":-3`, bare},
		{`,"ttl":"5"`, bare},
		{`,"ttl":null`, bare},
		{`,"ttl":5,"ttl":{}`, bare},
		{`,"data":null`, with(func(f *Frame) { f.Data = []byte("null") })},
		{`,"data": [1, 2] `, with(func(f *Frame) { f.Data = []byte("[1, 2]") })},
		{`,"originCell":"cell-12"`, with(func(f *Frame) { f.OriginCell = 12 })},
		{`,"originCell":"cell-012"`, bare},
		{`,"originCell":"cell-0","originCell":7`, bare},
		{`,"originCell":null`, bare},
		{`,"t":"wat"`, with(func(f *Frame) { f.Kind = "wat" })},
		{`,"t":""`, with(func(f *Frame) { f.Kind = "" })},
		{`,"T":"no","ID":"no","Origin":7`, bare},
		{`,"id":"` + long + `"`, with(func(f *Frame) { f.ID = long })},
		{`,"id":"\ud800\u0041"`, with(func(f *Frame) { f.ID = "\ufffdA" })},
		{`,"more":{"t":1}`, bare},
	} {
		got, err := Decode([]byte(` {"t":"msg","id":"x","origin":"o"` + c.rest + `} `))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.rest, got, err, c.want)
		}
	}
	for _, s := range []string{
		``, ` `, `null`, `7`, `"msg"`, `[]`, `[{"t":"msg","id":"x","origin":"o"}]`, `{}`, `{`, `{"t":"msg","id":"x","origin":"o"`,
		`{"t":"msg","id":"x","origin":"o"}{}`, `{"t":"msg","id":"x","origin":"o"} x`, `{"t":"msg","id":"x","origin":"o","data":}`,
		`{"t":7,"id":"x","origin":"o"}`, `{"id":"x","origin":"o"}`,
		`{"t":"msg","id":7,"origin":"o"}`, `{"t":"msg","id":"","origin":"o"}`, `{"t":"msg","origin":"o"}`,
		`{"t":"msg","id":"x","origin":null}`, `{"t":"msg","id":"x","origin":""}`, `{"t":"msg","id":"x"}`,
		`{"t":"msg","id":"` + long + `x","origin":"o"}`, `{"t":"msg","id":"x","origin":"` + long + `x"}`,
	} {
		if f, err := Decode([]byte(s)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v", s, f, err)
		}
	}
}

func TestNewID(t *testing.T) {
	// As a page made it: testdata/vectors.json, "chan json".
	if id := NewID("s3G4GYnTc8NojHgrgnUq", time.UnixMilli(1795351583035), 1); id != "s3G4GYnTc8NojHgrgnUq:mwrtz7ej:1" {
		t.Error(id)
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range loadVectors(f).Frames {
		f.Add([]byte(v.Text))
	}
	f.Add([]byte(`{"t":"msg","id":"\ud800","origin":"\u0000","ttl":1e999,"data":{"_ch":"c","_t":["a",7,"a"],"_d":[ ]}}`))
	f.Add([]byte(`{"t":"pong","id":"x","origin":"o","data":{"pingId":"p","receivedAt":1.5}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		was := bytes.Clone(in)
		frame, err := Decode(in)
		if !bytes.Equal(in, was) {
			t.Fatal("what was decoded is no longer what it was")
		}
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(frame.Append(nil))
		if err != nil || !reflect.DeepEqual(again, frame) {
			t.Fatalf("%+v, %v; want %+v", again, err, frame)
		}
		if m, ok := frame.Message(); ok {
			again.Data = AppendMessage(nil, m)
			if got, ok := again.Message(); !ok || !reflect.DeepEqual(got, m) {
				t.Fatalf("%+v, want %+v", got, m)
			}
		}
		if p, ok := frame.Ping(); ok {
			again.Data = AppendPing(nil, p)
			if got, ok := again.Ping(); !ok || got != p {
				t.Fatalf("%+v, want %+v", got, p)
			}
		}
		if p, ok := frame.Pong(); ok {
			again.Data = AppendPong(nil, p)
			if got, ok := again.Pong(); !ok || got != p {
				t.Fatalf("%+v, want %+v", got, p)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(loadVectors(b).Frames[1].Text)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Decode(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := f.Message(); !ok {
			b.Fatal("no message")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	f, err := Decode([]byte(loadVectors(b).Frames[1].Text))
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	for b.Loop() {
		buf = f.Append(buf[:0])
	}
}
