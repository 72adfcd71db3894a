package engine

import "time"

// maxKicked is the number of remote peers that are kept out at once. The one that
// was kicked first comes in again first.
const maxKicked = 1024

// Kick ends the seat of a peer id for good, with ErrKicked. If a remote peer has
// it, its links with this process end, and what it signals is ignored for a time;
// its links with other peers are not ours to end, and it may come back under
// another id. It fails with ErrUnknownPeer and ErrClosed.
func (r *Room) Kick(id string, out time.Duration) error {
	err := ErrClosed
	r.ask(func() { err = r.kick(id, out) })
	// A remote peer has its id in the sync room too, and may be known there alone.
	if m := r.Memory(); m != nil && err != ErrClosed {
		m.room.ask(func() {
			if m.room.kick(id, out) == nil {
				err = nil
			}
		})
	}
	return err
}

func (r *Room) kick(id string, out time.Duration) error {
	if s := r.seats[id]; s != nil {
		r.unseat(s, ErrKicked)
		return nil
	}
	if r.remotes[id] == nil {
		return ErrUnknownPeer
	}
	r.kicked.Add(id, r.now().Add(out))
	r.onBye(Signal{From: id}) // nothing waits for it, and it is not dialled
	for _, h := range r.hosted {
		p := h.pairs[id]
		if p == nil {
			continue
		}
		p.offer = nil
		if p.attempt != nil {
			r.abandon(p, ErrKicked)
		}
		if p.live != nil {
			p.live.farewell()
			p.live.close(ErrKicked)
		}
	}
	return nil
}

// isKicked tells whether a remote peer is kept out.
func (r *Room) isKicked(id string) bool {
	until, ok := r.kicked.Peek(id)
	return ok && r.now().Before(until)
}
