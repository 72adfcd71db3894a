package engine

import "time"

// presence is what seats are to hear of seats that came and went. Who comes into
// a room of N costs N wake-ups and N writes, which is why in a large room several
// are told of at once. It belongs to the room's actor.
type presence struct {
	events  []Event   // PeerEvents that not everybody was told, oldest first
	told    uint64    // number of those before them
	at      time.Time // when everybody was told last
	waiting bool      // everybody will be told in any case
}

// presenceGap is the time between two rounds, for each seat in the room. A round
// costs about a tenth of it: a core has time for other things while many come.
const presenceGap = 50 * time.Microsecond

// peerEvent makes an event that many are told.
func peerEvent(change PeerChange, id, typ string) PeerEvent {
	return PeerEvent{Change: change, Peer: Peer{id, typ}, Encodings: new(EncodingCache)}
}

// came tells who watches the node that a peer joined or left.
func (r *Room) came(change PeerChange, p Peer) {
	if r.node.presence != nil && r.syncs == nil {
		r.node.presence(r.name, change, p)
	}
}

// moved has everybody be told that a seat came or went: now, or when it is time.
func (r *Room) moved(change PeerChange, s *Seat) {
	p := &r.presence
	r.came(change, Peer{s.id, TypeSession})
	p.events = append(p.events, peerEvent(change, s.id, TypeSession))
	wait := time.Duration(len(r.seats))*presenceGap - r.now().Sub(p.at)
	switch {
	case wait <= 0:
		r.tellMoves()
	case !p.waiting:
		p.waiting = true
		r.after(wait, func() {
			p.waiting = false
			r.tellMoves()
		})
	}
}

// tellMoves tells everybody.
func (r *Room) tellMoves() {
	p := &r.presence
	if len(p.events) == 0 {
		return
	}
	for _, s := range r.seats {
		r.tellMovesTo(s)
	}
	for s := range r.readers {
		r.tellMovesTo(s)
	}
	p.told += uint64(len(p.events))
	p.events, p.at = nil, r.now()
}

// tellMovesTo tells one seat, who is to hear of somebody before he hears from him.
func (r *Room) tellMovesTo(s *Seat) {
	p := &r.presence
	s.pushMoves(p.events[max(s.moves, p.told)-p.told:])
	s.moves = r.moves()
}

// moves is the number of those there were so far.
func (r *Room) moves() uint64 { return r.presence.told + uint64(len(r.presence.events)) }

// pushMoves is push for several.
func (s *Seat) pushMoves(events []Event) {
	if len(events) == 0 {
		return
	}
	s.mu.Lock()
	a := s.attached
	if a != nil {
		for _, e := range events {
			if a.err == nil {
				a.push(e)
			}
		}
	}
	s.mu.Unlock()
	if a != nil {
		a.signal()
	}
}
