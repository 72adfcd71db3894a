package engine

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// hosted is a peer of the room that lives in this process. Its fields belong
// to the room's actor, but for the nonces.
type hosted struct {
	id  string
	typ string
	// seats are those that this peer speaks for: one, or for the server's peer
	// all that have no hosted peer of their own.
	seats      map[*Seat]struct{}
	pairs      map[string]*pair // by remote peer id
	announced  time.Time
	announces  *rate.Limiter
	announcing bool // soon
	// role is its place in the sealed topology, old the one before, during the grace.
	role, old *cells.Role

	mu     sync.Mutex
	nonces *lru.LRU[string, byte]
}

// host adds a hosted peer and announces it.
func (r *Room) host(id, typ string) *hosted {
	h := &hosted{
		id:     id,
		typ:    typ,
		seats:  make(map[*Seat]struct{}),
		pairs:  make(map[string]*pair),
		nonces: newLRU[string, byte](maxNonces, nil),

		announces: rate.NewLimiter(rate.Every(announceGap), announceBurst),
	}
	r.hosted[h.id] = h
	r.signaling.Host(h.id)
	r.announce(h)
	r.rosterChanged()
	return h
}

// unhost takes a hosted peer out of the mesh.
func (r *Room) unhost(h *hosted) {
	delete(r.hosted, h.id)
	r.rosterChanged()
	r.signaling.Bye(h.id)
	r.signaling.Unhost(h.id)
	links := h.allLinks()
	for _, p := range h.pairs {
		if p.live != nil {
			r.unlinked(p)
		}
		p.attempt = nil
		p.giveUp()
	}
	if len(links) == 0 {
		return
	}
	for _, l := range links {
		l.farewell()
	}
	// Not in the actor: the room may end before.
	r.tasks.Add(1)
	r.node.clock.AfterFunc(leaveTime, func() {
		defer r.tasks.Done()
		for _, l := range links {
			l.close(ErrLeft)
		}
	})
}

// allLinks returns the links of a hosted peer, live and opening.
func (h *hosted) allLinks() []*link {
	var links []*link
	for _, p := range h.pairs {
		if p.live != nil {
			links = append(links, p.live)
		}
		if p.attempt != nil {
			links = append(links, p.attempt)
		}
	}
	return links
}

// nextNonce counts the messages of a channel; the wire wants one byte that
// tells messages under way apart.
func (h *hosted) nextNonce(channel string) byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.nonces.Get(channel)
	if ok {
		n++
	}
	h.nonces.Add(channel, n)
	return n
}
