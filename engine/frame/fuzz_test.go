package frame

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zlib"
)

// FuzzPush takes frames, each after its length in two bytes.
func FuzzPush(f *testing.F) {
	for _, frames := range [][][]byte{
		split("c", 0, "x", 3),
		{raw("@_ping", 0, tagLast, 255, "")},
		{raw("c", 0, tagMeta|tagBinary|tagJSON, 128, "{}"), raw("c", 0, tagLast|tagBinary|tagJSON, 255, "x")},
		{raw("c", 0, tagLast|tagZlib, 255, "\x78\x9c\x4b\x4c\x1c\x05\x23\x19\x00\x00\x6e\x5e\xc2\x01")},
		{raw("c", 0, tagLast|tagZlib, 255, deflated(f, zlib.BestSpeed, make([]byte, 2000)))},
	} {
		var b []byte
		for _, frame := range frames {
			b = binary.BigEndian.AppendUint16(b, uint16(len(frame)))
			b = append(b, frame...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := Limits{Partials: 3, Bytes: 100, Inflated: 1000}
		r := NewReassembler(limits)
		for len(in) >= 2 {
			n := min(int(binary.BigEndian.Uint16(in)), len(in)-2)
			frame := bytes.Clone(in[2 : 2+n])
			in = in[2+n:]
			m, p, err := r.Push(frame)
			if err != nil && (m != nil || p != nil) {
				t.Fatalf("%v, %v with error %v", m, p, err)
			}
			if m != nil {
				checkMessage(t, m, limits, len(frame))
			}
			if p != nil && (p.Fraction <= 0 || p.Fraction > 1 || (p.Fraction == 1) != (m != nil)) {
				t.Fatalf("progress %v", p.Fraction)
			}
			held, live := 0, 0
			for _, p := range r.partials {
				for _, c := range p.chunks {
					held += len(c.data)
				}
				if len(p.chunks) >= MaxChunks {
					t.Fatalf("%d chunks of one message", len(p.chunks))
				}
				if p.dropped == nil {
					live++
				}
			}
			if held != r.Pending() || held > limits.Bytes || live != r.live || live > limits.Partials || len(r.partials) > live+maxDropped {
				t.Fatalf("%d bytes of %d messages, counted as %d of %d", held, live, r.Pending(), r.live)
			}
		}
	})
}

func checkMessage(t *testing.T, m *Message, limits Limits, frame int) {
	c := m.Content
	if !ValidName(m.Channel) {
		t.Fatalf("channel %q", m.Channel)
	}
	if c.Kind != Binary && !utf8.Valid(c.Data) || c.Kind == JSON && !json.Valid(c.Data) || c.Meta != nil && !json.Valid(c.Meta) {
		t.Fatalf("kind %d: %q, meta %q", c.Kind, c.Data, c.Meta)
	}
	// Invalid UTF-8 grows threefold at most when it is made valid.
	if len(c.Data) > 3*max(limits.Inflated, limits.Bytes, frame) {
		t.Fatalf("%d bytes", len(c.Data))
	}
}
