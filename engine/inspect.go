package engine

import (
	"cmp"
	"slices"
	"time"
)

// SeatState is a seat as an operator sees it. There are no secrets in it.
type SeatState struct {
	Peer     string // its id
	Mesh     string // of the hosted peer that speaks for it
	Identity Identity
	User     string // as its credentials say
	Owner    string // as SeatConfig has it
	Attached bool
	Until    time.Time // when it ends unless it is resumed; zero if it is attached
}

// SeatStates returns the room's seats, by peer id; nil after its end.
func (r *Room) SeatStates() (all []SeatState) {
	r.ask(func() {
		all = make([]SeatState, 0, len(r.seats))
		for _, s := range r.seats {
			state := SeatState{Peer: s.id, Mesh: s.hosted.id, Identity: s.identity, User: s.user, Owner: s.owner, Attached: s.attached != nil}
			if !state.Attached {
				state.Until = s.deadline
			}
			all = append(all, state)
		}
	})
	slices.SortFunc(all, func(a, b SeatState) int { return cmp.Compare(a.Peer, b.Peer) })
	return all
}

// RemoteState is a remote peer that a room knows.
type RemoteState struct {
	Peer
	Seen  time.Time // the last sign of life
	Links []LinkState
}

// LinkState is a link of a remote peer with one that is hosted here.
type LinkState struct {
	Hosted  string
	Open    bool      // else it is opening
	Since   time.Time // of Open
	Dialed  bool      // the offer was ours
	Relay   string    // that the offer or answer came by; empty: none came
	Waiting int       // bytes that are to be sent
}

// RemoteStates returns the remote peers that the room knows, by id; nil after its
// end.
func (r *Room) RemoteStates() (all []RemoteState) {
	r.ask(func() {
		all = make([]RemoteState, 0, len(r.remotes))
		for _, rem := range r.remotes {
			all = append(all, RemoteState{Peer{rem.id, rem.typ}, rem.seen, r.linksOf(rem.id)})
		}
	})
	slices.SortFunc(all, func(a, b RemoteState) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (r *Room) linksOf(id string) (links []LinkState) {
	for _, h := range r.hosted {
		p := h.pairs[id]
		if p == nil {
			continue
		}
		if l := cmp.Or(p.live, p.attempt); l != nil {
			links = append(links, LinkState{h.id, l == p.live, l.opened, l.dialed, l.relay, l.out.waits()})
		}
	}
	slices.SortFunc(links, func(a, b LinkState) int { return cmp.Compare(a.Hosted, b.Hosted) })
	return links
}
