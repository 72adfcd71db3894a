package engine

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxHeld is how many offers of peers that have no place are held in a room; the oldest
// gives way. An offer has 48 KiB at most.
const maxHeld = 512

// newHeld makes the set of the offers that wait for a seal, by which their peers may get
// a place.
func newHeld(n *Node) *lru.LRU[*pair, *Signal] {
	return newLRU(maxHeld, func(p *pair, offer *Signal) {
		if p.offer == offer { // neither answered nor replaced
			p.offer = nil
			n.counters.drop("offer: no place in the cells")
		}
	})
}

// hold keeps an offer for the next seal.
func (r *Room) hold(p *pair, offer *Signal) {
	r.mesh.held.Remove(p)
	p.offer, p.offerTime = offer, r.now()
	r.mesh.held.Add(p, offer)
}

// dropHeld drops the offers that are too old to be answered.
func (r *Room) dropHeld(now time.Time) {
	for {
		p, offer, ok := r.mesh.held.GetOldest()
		if !ok || p.offer == offer && now.Sub(p.offerTime) <= offerLife {
			return
		}
		r.mesh.held.Remove(p)
	}
}
