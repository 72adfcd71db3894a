package engine

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// remote is a peer of the room that lives elsewhere.
type remote struct {
	id   string
	typ  string
	seen time.Time // in signaling or on a link
	// linked is the number of hosted peers that have a live link with it.
	linked int
	// gone means that it said goodbye; it is forgotten with its last link.
	gone bool

	kind  peerKind
	asks  int // whether it uses cells
	asked time.Time
}

// isServers tells whether a server like ours hosts the peer. A page says no type, and may
// have any id.
func (rem *remote) isServers() bool { return answersOnly(rem.id) && rem.typ != "" }

// deliver takes what signaling brings.
func (r *Room) deliver(s Signal) { r.post(func() { r.onSignal(s) }) }

func (r *Room) onSignal(s Signal) {
	if r.closing {
		return
	}
	switch {
	case s.Kind == Census:
		r.onCensus(s.Presence)
		return
	case !validRemoteID(s.From):
		r.node.counters.drop("signal: bad peer id")
		return
	case r.isKicked(s.From):
		r.node.counters.drop("signal: of a peer that was kicked")
		return
	case r.hosted[s.From] != nil || r.seats[s.From] != nil:
		// Somebody claims to be one of ours.
		r.node.counters.drop("signal: claims a hosted peer")
		return
	}
	switch s.Kind {
	case Announce:
		r.onAnnounce(s)
	case Bye:
		r.onBye(s)
	case Offer:
		r.onOffer(s)
	case Answer:
		r.onAnswer(s)
	}
}

// see notes a sign of life of a remote peer.
func (r *Room) see(id, typ string) *remote {
	rem := r.remotes[id]
	fresh := rem == nil
	if fresh {
		if len(r.remotes) >= r.node.limits.Load().RemotesPerRoom {
			r.forgetOldest()
		}
		rem = &remote{id: id}
		r.remotes[id] = rem
	}
	if fresh || rem.gone {
		r.rosterChanged()
	}
	rem.seen, rem.gone = r.now(), false
	changed := typ != "" && typ != rem.typ
	if changed {
		rem.typ = typ
	}
	if fresh || changed {
		r.tellAll(peerEvent(PeerSeen, id, rem.typ))
	}
	return rem
}

// onAnnounce answers an announce with announces of those hosted peers that are
// not linked with its sender: it will send each an offer.
func (r *Room) onAnnounce(s Signal) {
	r.see(s.From, s.Type)
	for _, h := range r.hosted {
		if t := r.mesh.topology; t != nil && t.Has(s.From) && !r.keeps(h, s.From) {
			continue
		}
		p := h.pair(s.From)
		switch {
		case p.live != nil && p.live.author == s.Author || p.attempt != nil:
			continue
		case p.live != nil:
			// The page was loaded anew. If it came back from a crash, the
			// old link is dead, and nobody else would tell us soon.
			r.probe(p)
			r.announceSoon(h)
			continue
		}
		r.announceSoon(h)
		r.maybeDial(p)
	}
}

// onBye takes a peer for lost: nothing waits for it any more. Its links are left
// alone: they end by a farewell of their own, and a bye proves less than a link.
func (r *Room) onBye(s Signal) {
	rem := r.remotes[s.From]
	if rem == nil || rem.gone {
		return // one for each relay
	}
	rem.gone = true
	r.rosterChanged()
	r.tellAll(peerEvent(PeerLost, rem.id, rem.typ))
	for _, h := range r.hosted {
		if p := h.pairs[rem.id]; p != nil {
			p.giveUp()
		}
	}
	if rem.linked == 0 {
		r.forget(rem)
	}
}

// forget removes a remote peer that no hosted peer is linked with, and what
// waits of it.
func (r *Room) forget(rem *remote) {
	delete(r.remotes, rem.id)
	r.rosterChanged()
	r.mix()
	for _, h := range r.hosted {
		if p := h.pairs[rem.id]; p != nil && p.live == nil && p.attempt == nil {
			p.giveUp()
			delete(h.pairs, rem.id)
		}
	}
}

func (r *Room) forgetOldest() {
	var oldest *remote
	for _, rem := range r.remotes {
		if rem.linked == 0 && (oldest == nil || rem.seen.Before(oldest.seen)) {
			oldest = rem
		}
	}
	if oldest != nil {
		r.node.counters.drop("roster: full, oldest forgotten")
		r.forget(oldest)
	}
}

// announceSoon announces a hosted peer now, or as soon as announceGap and
// announceBurst allow. A crowd shares announces.
func (r *Room) announceSoon(h *hosted) {
	if h.announcing {
		return
	}
	now := r.now()
	wait := h.announces.ReserveN(now, 1).DelayFrom(now)
	if wait <= 0 {
		r.announce(h)
		return
	}
	h.announcing = true
	r.after(wait, func() {
		h.announcing = false
		if r.hosted[h.id] == h {
			r.announce(h)
		}
	})
}

func (r *Room) announce(h *hosted) {
	h.announced = r.now()
	r.signaling.Announce(h.id, h.typ)
}

// tick is the room's regular round: it watches links, repeats announces and
// forgets who is gone.
func (r *Room) tick() {
	if r.closing {
		return
	}
	defer r.after(watchEvery, r.tick)
	now := r.now()
	for _, h := range r.hosted {
		every := announceEvery
		if r.mesh.on {
			every = meshAnnounceEvery
		}
		if now.Sub(h.announced) > every-watchEvery/2 {
			r.announceSoon(h)
		}
		for id, p := range h.pairs {
			switch {
			case p.live != nil:
				r.remotes[id].seen = now
				p.live.watch(now)
			case p.idle(now) && r.remotes[id] == nil:
				delete(h.pairs, id)
			}
		}
	}
	silence := remoteSilence
	if r.mesh.on {
		silence = cells.Silence + cells.Suspicion + cells.Cap
	}
	for _, rem := range r.remotes {
		if rem.linked == 0 && now.Sub(rem.seen) > silence {
			r.tellAll(peerEvent(PeerLost, rem.id, rem.typ))
			r.forget(rem)
		}
	}
	if r.mesh.on {
		r.takeRoles()
	}
	r.dropHeld(now)
	r.expirePings(now)
	r.watchTransfers(now)
	for _, s := range r.tokens {
		s.watch(now)
	}
	r.snapshot()
	r.removeUnused(now)
}
