package main

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/internal/histogram"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every mark is counted once, wherever the stream is cut.
func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "messages")
		var stream []byte
		for i := range n {
			stream = append(stream, rapid.SliceOfN(rapid.ByteRange('A', 'Z'), 0, 5).Draw(t, "between")...)
			stream = append(stream, payload(uint64(i+1), rapid.IntRange(markSize, 40).Draw(t, "size"))...)
		}
		a := &audience{}
		a.latencies.Store(new(histogram.Histogram))
		count, last := 0, uint64(0)
		var kept []byte
		for len(stream) > 0 {
			k := rapid.IntRange(1, len(stream)).Draw(t, "cut")
			marks, number, rest := a.marks(append(kept, stream[:k]...))
			if count += marks; marks > 0 {
				last = number
			}
			kept, stream = bytes.Clone(rest), stream[k:]
		}
		if count != n || last != uint64(n) {
			t.Fatalf("%d marks, the last %d; want %d", count, last, n)
		}
	})
}
