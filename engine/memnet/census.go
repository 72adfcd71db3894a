package memnet

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// census is who is in a room, by announces and byes. It is guarded by the network's
// lock.
type census struct {
	heard        map[string]time.Time // when a peer was, last
	joined, left map[string]struct{}  // since everybody was told
	counting     bool
}

// count takes an announce or a bye.
func (m *meeting) count(n *Network, sig engine.Signal) {
	if !m.counting {
		m.counting, m.heard = true, make(map[string]time.Time)
		m.forgetMoves()
		m.tellSoon(n)
	}
	id := sig.From
	_, known := m.heard[id]
	switch {
	case sig.Kind == engine.Announce:
		if !known {
			m.joined[id] = struct{}{}
		}
		m.heard[id] = n.now()
	case known:
		m.gone(id)
	}
}

func (m *meeting) gone(id string) {
	delete(m.heard, id)
	if _, untold := m.joined[id]; untold {
		delete(m.joined, id)
	} else {
		m.left[id] = struct{}{}
	}
}

func (m *meeting) forgetMoves() {
	m.joined, m.left = make(map[string]struct{}), make(map[string]struct{})
}

func (m *meeting) tellSoon(n *Network) {
	n.time().at(n.now().Add(n.Census), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(m.all) > 0 {
			m.tell(n)
			m.tellSoon(n)
		}
	})
}

// tell tells everybody who is there, if that has changed.
func (m *meeting) tell(n *Network) {
	for id, at := range m.heard {
		if n.now().Sub(at) > cells.Suspicion {
			m.gone(id)
		}
	}
	if len(m.joined)+len(m.left) == 0 {
		return
	}
	sig := engine.Signal{Kind: engine.Census, Relay: Relay, Presence: &engine.Presence{
		Topology: topologies(slices.Collect(maps.Keys(m.heard))),
		Joined:   slices.Collect(maps.Keys(m.joined)),
		Left:     slices.Collect(maps.Keys(m.left)),
	}}
	m.forgetMoves()
	for s := range m.all {
		s.give(sig)
	}
}

// topologies makes the topology of a roster once for each size.
func topologies(ids []string) func(size int) *cells.Topology {
	var mu sync.Mutex
	made := make(map[int]*cells.Topology)
	return func(size int) *cells.Topology {
		mu.Lock()
		defer mu.Unlock()
		if made[size] == nil {
			made[size] = cells.New(size, ids...)
		}
		return made[size]
	}
}
