package engine

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

func drawRecord(t *rapid.T) record {
	rec := record{
		from:    rapid.String().Draw(t, "from"),
		to:      audience(rapid.IntRange(0, 2).Draw(t, "to")),
		channel: rapid.String().Draw(t, "channel"),
		content: Content{Kind: rapid.SampledFrom([]frame.Kind{Text, JSON, Binary}).Draw(t, "kind"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")},
	}
	if rec.seat = rapid.Bool().Draw(t, "seat"); rec.seat {
		rec.ref = rapid.Uint64().Draw(t, "ref")
	}
	if rec.to == toListed {
		rec.listed = rapid.SliceOf(rapid.String()).Draw(t, "listed")
	}
	rec.links = rapid.Bool().Draw(t, "links")
	if rapid.Bool().Draw(t, "has meta") {
		rec.content.Meta = rapid.SliceOf(rapid.Byte()).Draw(t, "meta")
	}
	return rec
}

func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := drawRecord(t)
		b := rec.append(nil)
		back, err := decodeRecord(b)
		if err != nil || !reflect.DeepEqual(back, rec) {
			t.Fatalf("got %+v, %v\nwant %+v", back, err, rec)
		}
	})
}

func FuzzRecord(f *testing.F) {
	rec := record{from: "a", seat: true, ref: 300, to: toListed, listed: []string{"b", "c"}, channel: "chat", content: Content{Kind: JSON, Data: []byte("1"), Meta: []byte("2")}}
	f.Add(rec.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(rec.append(nil))
		if err != nil || !reflect.DeepEqual(again, rec) {
			t.Fatalf("%x: got %+v, %v\nwant %+v", b, again, err, rec)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	c := checkpoint{upto: 300, open: []uint64{1, 200, 299}}
	f.Add(c.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCheckpoint(b)
		if err != nil {
			return
		}
		again, err := decodeCheckpoint(c.append(nil))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%x: got %+v, %v\nwant %+v", b, again, err, c)
		}
	})
}
