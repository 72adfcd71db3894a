package engine

import (
	"context"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// ValidChannel tells whether applications may use a channel of this name: 1 to
// 12 bytes of UTF-8 that do not begin with "@_".
func ValidChannel(name string) bool {
	return frame.ValidName(name) && !strings.HasPrefix(name, internalPrefix)
}

// postCtx is post that gives up when ctx ends.
func (r *Room) postCtx(ctx context.Context, f func()) error {
	if r.tryPost(f) {
		return nil
	}
	select {
	case r.inbox <- f:
		return nil
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tellAll pushes an event to every seat.
func (r *Room) tellAll(e Event) {
	for _, s := range r.seats {
		s.push(e)
	}
}

// send passes on a message of a seat. Without frames it is too large for links.
func (r *Room) send(s *Seat, o Outgoing, frames [][]byte) {
	if r.seats[s.id] != s {
		return
	}
	r.seq++
	var m *Message
	if len(r.seats) > 1 { // else nobody takes it
		m = &Message{Seq: r.seq, Channel: o.Channel, From: s.id, Content: o.Content}
	}
	if o.To == nil {
		for _, other := range r.seats {
			if other != s {
				r.sendToSeat(s, other, m, &o)
			}
		}
		for _, p := range s.hosted.pairs {
			if p.known() {
				r.sendToPair(s, p, &o, frames)
			}
		}
		return
	}
	done := make(map[string]struct{}, len(o.To))
	for _, to := range o.To {
		if _, twice := done[to]; twice {
			continue
		}
		done[to] = struct{}{}
		if other := r.seats[to]; other != nil && other != s {
			r.sendToSeat(s, other, m, &o)
		} else if p := s.hosted.pairs[to]; p != nil && p.known() {
			r.sendToPair(s, p, &o, frames)
		} else if to == r.server.id {
			s.progressed(to, &o) // nobody listens there
		} else {
			s.push(Result{o.Ref, to, ErrUnknownPeer})
		}
	}
}

func (r *Room) sendToSeat(from, to *Seat, m *Message, o *Outgoing) {
	to.push(m)
	from.progressed(to.id, o)
}

// progressed reports a message as passed on to a peer in this process.
func (s *Seat) progressed(peer string, o *Outgoing) {
	if o.Progress {
		s.push(Progress{Ref: o.Ref, Peer: peer, Fraction: 1})
	}
}

// received passes on a message that came by a link.
func (r *Room) received(l *link, m *frame.Message, progress *frame.Progress) {
	if l.pair.live != l {
		r.node.counters.drop("message: by a link that was replaced")
		return
	}
	if progress != nil {
		r.arriving(l, progress)
	}
	r.seq++
	msg := &Message{Seq: r.seq, Channel: m.Channel, From: l.pair.remote, Content: m.Content}
	for s := range l.pair.h.seats {
		s.push(msg)
	}
}

// arriving tells how much of a message has come.
func (r *Room) arriving(l *link, p *frame.Progress) {
	if l.pair.live != l {
		return
	}
	for s := range l.pair.h.seats {
		s.push(Progress{Channel: p.Channel, Peer: l.pair.remote, Fraction: p.Fraction, Meta: p.Meta})
	}
}
