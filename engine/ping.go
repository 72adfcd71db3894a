package engine

import "time"

// relayedPing is a ping from one seat to another.
type relayedPing struct {
	from  *Seat
	ref   uint64
	to    *Seat
	since time.Time
}

// ping sends a seat's ping on its way.
func (r *Room) ping(s *Seat, ref uint64, peer string) {
	if other := r.seats[peer]; other != nil {
		r.pingSeq++
		r.pings[r.pingSeq] = &relayedPing{s, ref, other, r.now()}
		other.push(PingRequest{r.pingSeq})
	} else if p := s.hosted.pairs[peer]; p != nil && p.live != nil {
		p.live.pingFor(s, ref)
	} else if r.inMesh(peer) {
		r.pingFar(s, ref, peer)
	} else if peer == r.server.id {
		s.push(Pong{ref, peer, nil})
	} else {
		s.push(Pong{ref, peer, ErrUnknownPeer})
	}
}

// ponged takes a seat's answer. Only the seat that was asked can give it.
func (r *Room) ponged(s *Seat, token uint64) {
	if p := r.pings[token]; p != nil && p.to == s {
		delete(r.pings, token)
		p.from.push(Pong{p.ref, s.id, nil})
	}
}

// expirePings gives up on pings between seats that were not answered, at the
// watchdog's pace.
func (r *Room) expirePings(now time.Time) {
	for token, p := range r.pings {
		switch {
		case r.seats[p.to.id] != p.to:
			p.from.push(Pong{p.ref, p.to.id, ErrPeerGone})
		case now.Sub(p.since) > pingTime:
			p.from.push(Pong{p.ref, p.to.id, ErrPingTimeout})
		default:
			continue
		}
		delete(r.pings, token)
	}
}
