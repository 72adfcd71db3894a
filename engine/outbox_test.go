package engine

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is put and taken: each channel is first in, first out, the channels
// that have something take turns of so many bytes, what is left of one being
// kept for the next, and no more waits than may.
func TestOutboxOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit, turn = 60, 9
		o := newOutbox(nil, limit)
		o.turn = turn
		var (
			turns   []string // of the channels that wait
			credit  = map[string]int{}
			waiting = map[string][]string{} // frames, by channel
			bytes   int
		)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				channel := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "channel")
				var frames []string
				m, size := &outgoing{}, 0
				for range rapid.IntRange(1, 4).Draw(t, "frames") {
					f := fmt.Sprint(channel, rapid.IntRange(0, 999).Draw(t, "frame"))
					frames = append(frames, f)
					m.frames = append(m.frames, []byte(f))
					size += len(f)
				}
				err := o.put(channel, m)
				if full := bytes > 0 && bytes+size > limit; full {
					if !errors.Is(err, ErrPeerSlow) {
						t.Fatalf("%d bytes on top of %d: %v", size, bytes, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(waiting[channel]) == 0 {
					turns = append(turns, channel)
					credit[channel] = turn
				}
				waiting[channel] = append(waiting[channel], frames...)
				bytes += size
			},
			"pop": func(t *rapid.T) {
				want := ""
				if len(turns) > 0 {
					for len(waiting[turns[0]][0]) > credit[turns[0]] {
						credit[turns[0]] += turn
						turns = append(turns[1:], turns[0])
					}
					channel := turns[0]
					want = waiting[channel][0]
					if waiting[channel] = waiting[channel][1:]; len(waiting[channel]) == 0 {
						turns = turns[1:]
					}
					credit[channel] -= len(want)
					bytes -= len(want)
				}
				if _, f, ended := o.pop(); string(f) != want || ended {
					t.Fatalf("%q, want %q; ended: %t", f, want, ended)
				}
			},
			"": func(t *rapid.T) {
				if o.bytes != bytes || len(o.lanes) != len(turns) {
					t.Fatalf("%d bytes in %d lanes, want %d in %d", o.bytes, len(o.lanes), bytes, len(turns))
				}
			},
		})
	})
}
