package frame

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

var someCounts = []int{1, 2, 3, 4, 5, 7, 10, 16, 33, 50, 64, 85, 98, 99, 100}

// A message that its sender gave up never becomes part of another one: of the
// next message with the same nonce, 256 messages later, nothing is delivered but
// the whole; and the whole it is if progress shows at once that it is another
// one. One case cannot be told apart: only the last chunk is missing, and the
// next message is a single chunk.
func TestStale(t *testing.T) {
	for _, n := range someCounts[1:] {
		for sent := 1; sent < n; sent++ {
			for _, next := range someCounts {
				if sent == n-1 && next == 1 {
					continue
				}
				r := NewReassembler(Limits{})
				old, frames := split("c", 7, "o", n)[:sent], split("c", 7, "n", next)
				for _, b := range old {
					if _, _, err := r.Push(b); err != nil {
						t.Fatal(err)
					}
				}
				var got *Message
				var failed error
				for _, b := range frames {
					m, _, err := r.Push(b)
					if m != nil {
						got = m
					}
					if err != nil && failed == nil {
						failed = err
					}
				}
				switch {
				case got != nil && string(got.Content.Data) != strings.Repeat("n", next):
					t.Errorf("%d of %d, then %d: %q", sent, n, next, got.Content.Data)
				case got == nil && (frames[0][atProgress] <= old[sent-1][atProgress] || !errors.Is(failed, ErrProgress) && !errors.Is(failed, ErrTooLarge)):
					t.Errorf("%d of %d, then %d: nothing, %v", sent, n, next, failed)
				case (got != nil) != (r.Stale() == 1):
					t.Errorf("%d of %d, then %d: %d stale", sent, n, next, r.Stale())
				}
				if r.Pending() != 0 || len(r.partials) != 0 {
					t.Errorf("%d of %d, then %d: %d bytes, %d partials", sent, n, next, r.Pending(), len(r.partials))
				}
			}
		}
	}
}

// A last chunk that cannot be the end of its message is no message of its own.
func TestOddEnd(t *testing.T) {
	for _, progress := range []byte{0, 1, 51, 52, 200, 254, 255} {
		r := NewReassembler(Limits{})
		if _, _, err := r.Push(split("c", 0, "x", 5)[0]); err != nil {
			t.Fatal(err)
		}
		m, _, err := r.Push(raw("c", 0, tagLast, progress, "x"))
		if m != nil || !errors.Is(err, ErrProgress) || r.Pending() != 0 || len(r.partials) != 0 {
			t.Errorf("%d: %v, %v, %d bytes, %d partials", progress, m, err, r.Pending(), len(r.partials))
		}
	}
}

// Browsers take messages without progress; so do we, unless it misleads. Of
// what we do not take nothing is delivered, the end neither.
func TestNoProgress(t *testing.T) {
	for progress, want := range map[byte]bool{0: true, 255: true, 128: false} {
		for n := 2; n <= MaxChunks+1; n++ {
			r := NewReassembler(Limits{})
			var got *Message
			for i, b := range split("c", 0, "x", n) {
				b[atProgress] = progress
				m, p, err := r.Push(b)
				if m != nil {
					got = m
				}
				if want && (p != nil) != (i == n-1) && n <= MaxChunks {
					t.Errorf("always %d, chunk %d of %d: progress %v, %v", progress, i+1, n, p, err)
				}
			}
			if (got != nil) != (want && n <= MaxChunks) || got != nil && len(got.Content.Data) != n {
				t.Errorf("always %d, %d chunks: %v", progress, n, got)
			}
			if r.Pending() != 0 || len(r.partials) != 0 {
				t.Errorf("always %d, %d chunks: %d bytes, %d partials", progress, n, r.Pending(), len(r.partials))
			}
		}
	}
}

// Senders that round progress down or up are understood.
func TestRounding(t *testing.T) {
	for _, round := range []func(float64) float64{math.Floor, math.Ceil, math.Round} {
		for n := 1; n <= MaxChunks; n++ {
			frames := split("c", 0, "x", n)
			for i, b := range frames {
				b[atProgress] = byte(round(255 * float64(i+1) / float64(n)))
			}
			if m := pushAll(t, NewReassembler(Limits{}), frames); len(m.Content.Data) != n {
				t.Fatalf("%d of %d chunks", len(m.Content.Data), n)
			}
		}
	}
}

// Of a message of too many chunks nothing is delivered, its end neither, and
// it holds nothing.
func TestTooManyChunks(t *testing.T) {
	for _, n := range []int{101, 102, 120, 150, 200, 254, 255, 256, 257, 400, 1000, 5000} {
		r := NewReassembler(Limits{})
		large := 0
		for i, b := range split("c", 0, "x", n) {
			m, _, err := r.Push(b)
			if m != nil {
				t.Fatalf("%d chunks: %d bytes delivered", n, len(m.Content.Data))
			}
			if errors.Is(err, ErrTooLarge) {
				large++
			} else if err != nil && !errors.Is(err, ErrDropped) {
				t.Fatalf("%d chunks: chunk %d: %v", n, i, err)
			}
		}
		if large != 1 || r.Pending() != 0 || len(r.partials) != 0 || r.Stale() != 0 {
			t.Errorf("%d chunks: %d errors, %d bytes, %d partials, %d stale", n, large, r.Pending(), len(r.partials), r.Stale())
		}
	}
}

// Above the limits the oldest message is dropped as a whole; the others arrive.
func TestOverflow(t *testing.T) {
	for name, limits := range map[string]Limits{
		"partials": {Partials: 4},
		"bytes":    {Bytes: 8},
	} {
		t.Run(name, func(t *testing.T) {
			const messages, chunks = 6, 2 // the first two are too many, by either limit
			r := NewReassembler(limits)
			var frames [messages][][]byte
			for i := range frames {
				frames[i] = split(fmt.Sprint(i), 0, "xx", chunks)
				if _, p, err := r.Push(frames[i][0]); p == nil || err != nil {
					t.Fatal(p, err)
				}
				if r.Pending() > 8 || r.live > 4 {
					t.Fatalf("%d bytes of %d messages", r.Pending(), r.live)
				}
			}
			for i := messages - 1; i >= 0; i-- {
				m, _, err := r.Push(frames[i][1])
				if i < 2 && (m != nil || !errors.Is(err, ErrOverflow)) {
					t.Errorf("message %d: %v, %v", i, m, err)
				}
				if i >= 2 && (m == nil || string(m.Content.Data) != "xxxx") {
					// Its second chunk needs room as well, which the oldest gives.
					if name == "partials" || i >= 4 {
						t.Errorf("message %d: %v, %v", i, m, err)
					}
				}
			}
			if r.Pending() != 0 || len(r.partials) != 0 {
				t.Errorf("%d bytes, %d partials", r.Pending(), len(r.partials))
			}
		})
	}
}

// A message that alone is above the limit is dropped, once.
func TestOverflowOfOne(t *testing.T) {
	r := NewReassembler(Limits{Bytes: 2})
	for i, b := range split("c", 0, "x", 5) {
		m, _, err := r.Push(b)
		if want := []error{nil, nil, ErrOverflow, ErrDropped, ErrDropped}[i]; m != nil || !errors.Is(err, want) {
			t.Errorf("chunk %d: %v, %v; want %v", i, m, err, want)
		}
	}
	if r.Pending() != 0 || len(r.partials) != 0 {
		t.Errorf("%d bytes, %d partials", r.Pending(), len(r.partials))
	}
}

// What was dropped is remembered within bounds too.
func TestDroppedIsBounded(t *testing.T) {
	r := NewReassembler(Limits{Partials: 2})
	for i := range 3 * maxDropped {
		r.Push(split(fmt.Sprint(i), 0, "x", 2)[0])
	}
	if len(r.partials) > 2+maxDropped || r.live != 2 || r.Pending() != 2 {
		t.Errorf("%d partials, %d live, %d bytes", len(r.partials), r.live, r.Pending())
	}
}

// A message that made room says so once. Its nonce can be used again.
func TestOverflowIsReportedOnce(t *testing.T) {
	r := NewReassembler(Limits{Partials: 1})
	old, other := split("a", 0, "o", 4), split("b", 0, "x", 2)
	r.Push(old[0])
	r.Push(other[0])
	for i, b := range old[1:3] {
		m, _, err := r.Push(b)
		if want := []error{ErrOverflow, ErrDropped}[i]; m != nil || !errors.Is(err, want) {
			t.Errorf("chunk %d: %v, %v; want %v", i+1, m, err, want)
		}
	}
	if m, _, err := r.Push(other[1]); m == nil {
		t.Errorf("the other message: %v", err)
	}
	// Half of what was seen of the old one: progress says it is another message.
	if m := pushAll(t, r, split("a", 0, "n", 2)); string(m.Content.Data) != "nn" {
		t.Errorf("then: %q", m.Content.Data)
	}
}
