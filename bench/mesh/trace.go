package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// trace is what became of a message to all.
type trace struct {
	from    *peer
	at      time.Time
	settled []*peer // that had been there for long when it was sent
	ttl     int     // that it was sent with

	// By number of the peer.
	copies []atomic.Uint32 // frames that came
	hops   []atomic.Uint32 // of the first of them
	told   []bool          // its seat was
}

// say has a settled peer say something to all.
func (w *world) say() error {
	settled := w.settled()
	if len(settled) == 0 {
		return fmt.Errorf("nobody is there")
	}
	t := &trace{
		from: settled[w.random.IntN(len(settled))], at: time.Now(), settled: settled,
		copies: make([]atomic.Uint32, len(w.all)), hops: make([]atomic.Uint32, len(w.all)), told: make([]bool, len(w.all)),
	}
	t.ttl = t.from.seat.MeshState().TTL
	number := w.said.Add(1) - 1
	w.traces[number] = t
	return t.from.seat.Send(w.t.Context(), engine.Outgoing{
		Channel: channel, Content: engine.Content{Kind: engine.Text, Data: text(int(number))},
	})
}

// counts tells whether a settled peer is to get the message: it is another's, and did not
// leave before the message had its time.
func (t *trace) counts(p *peer) bool {
	return p != t.from && (p.left.IsZero() || p.left.Sub(t.at) > arrives)
}

// A message is this and its number, so that it is found in a frame.
const mark = "message "

func text(number int) []byte { return fmt.Appendf(nil, mark+"%06d", number) }

// numberIn finds the number of a message.
func numberIn(b []byte) (int, bool) {
	_, after, ok := bytes.Cut(b, []byte(mark))
	if !ok || len(after) < 6 {
		return 0, false
	}
	n, err := strconv.Atoi(string(after[:6]))
	return n, err == nil
}

var ttlField = []byte(`"ttl":`)

// heard looks at a frame that comes to a peer.
func (w *world) heard(p *peer, b []byte) {
	w.frames.Add(1)
	w.bytes.Add(int64(len(b)))
	n, ok := numberIn(b[frame.HeaderSize:])
	if !ok || n >= len(w.traces) || w.traces[n] == nil || p.number >= len(w.traces[n].copies) {
		return
	}
	t := w.traces[n]
	w.meshBytes.Add(int64(len(b)))
	if t.copies[p.number].Add(1) > 1 {
		return
	}
	_, after, _ := bytes.Cut(b, ttlField)
	if end := bytes.IndexByte(after, ','); end > 0 {
		if ttl, err := strconv.Atoi(string(after[:end])); err == nil {
			t.hops[p.number].Store(uint32(t.ttl - ttl + 1))
		}
	}
}

// listen takes what the seats were told.
func (w *world) listen() {
	for _, p := range w.here {
		var err error
		for w.events = w.events[:0]; err == nil; {
			n := len(w.events)
			if w.events, err = p.seat.Poll(w.events); err == nil && len(w.events) == n {
				break
			}
		}
		if err != nil {
			w.t.Errorf("peer %d: %v", p.number, err)
		}
		for _, e := range w.events {
			m, ok := e.(*engine.Message)
			if !ok {
				continue
			}
			n, ok := numberIn(m.Content.Data)
			if !ok {
				w.t.Errorf("peer %d was told %q", p.number, m.Content.Data)
				continue
			}
			if t := w.traces[n]; p.number < len(t.told) {
				if t.told[p.number] {
					w.twice++
				}
				t.told[p.number] = true
			}
		}
	}
}
