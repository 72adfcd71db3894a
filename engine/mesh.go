package engine

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// mesh is a room's part in the cells of its peers (docs/protocol.md, "Cells"). The
// hosted peers have one census, one seal and one memory of what passed: they are one
// body with many places. It belongs to the room's actor.
type mesh struct {
	mode CellsMode
	want int  // peers a cell as configured; 0: as the frames of others tell
	on   bool // the room has cells
	size int  // peers a cell

	seals    cells.Seals
	topology *cells.Topology // sealed; nil: never
	sealed   time.Time
	shut     bool       // a peer of others is in it: until then every door is open
	epoch    uint64     // of the last seal; it only rises
	listed   []MeshPeer // topology, once somebody has asked for it
	given    *Presence  // who is there, if signaling tells it

	seen    cells.Seen
	seq     uint64 // of frames of ours
	claims  *lru.LRU[string, claim]
	doubted bool // a claim is not what the topology says
	pings   map[string]meshPing
	pongs   *rate.Limiter    // of those that everybody gets
	fills   map[string]*fill // by the id of the frame
	recent  recent
	filling int // bytes of fills
	held    *lru.LRU[*pair, *Signal]
	pong    time.Time // when a peer was last known to use cells
	ticking bool
	mixed   bool
}

// maxClaims is how many peers' words on their cells are remembered.
const maxClaims = 256

func newMesh(n *Node, mode CellsMode, size int) mesh {
	m := mesh{
		mode: mode, want: size, claims: newLRU[string, claim](maxClaims, nil), held: newHeld(n),
		pings: make(map[string]meshPing), pongs: rate.NewLimiter(rate.Every(pongGap), pongBurst),
		fills: make(map[string]*fill),
	}
	m.on, m.size = mode == CellsOn, m.cellSize()
	return m
}

func (m *mesh) cellSize() int {
	if m.want > 0 {
		return m.want
	}
	return cells.DefaultSize
}

// SetCells changes RoomConfig.Cells and CellSize from now on.
func (r *Room) SetCells(mode CellsMode, size int) {
	r.cellsOff.Store(mode == CellsOff)
	r.post(func() {
		m := &r.mesh
		if m.mode == mode && m.want == size {
			return
		}
		m.mode, m.want = mode, size
		m.size = m.cellSize() // the topology goes with the next seal
		m.claims.Purge()
		switch {
		case mode == CellsOff:
			if m.on {
				r.leaveCells()
			}
			for _, rem := range r.remotes {
				rem.kind, rem.asks = kindUnknown, 0
			}
		case mode == CellsOn && !m.on:
			r.useCells()
		}
		m.seals.Changed(r.now())
		r.meshTickSoon()
	})
	if m := r.memory.Load(); m != nil {
		m.room.SetCells(mode, size)
	}
}

// peerKind is how a remote peer takes part in a room.
type peerKind uint8

const (
	kindUnknown peerKind = iota
	kindCells            // it was heard to use cells
	kindFull             // it does not: it is linked with everybody, and hears no mesh frames
)

// useCells has the room have cells from now on.
func (r *Room) useCells() {
	m := &r.mesh
	m.on, m.pong = true, r.now()
	m.seals.Changed(r.now())
	r.log.Info("the room has cells")
	r.meshTickSoon()
	r.withPartner(func(other *Room) {
		if !other.mesh.on && other.mesh.mode == CellsAuto {
			other.useCells()
		}
	})
}

// leaveCells has the room be without cells from now on.
func (r *Room) leaveCells() {
	m := &r.mesh
	m.on, m.mixed, m.topology, m.shut, m.size = false, false, nil, false, m.cellSize()
	m.epoch++ // nothing is left to do for the last seal
	m.claims.Purge()
	r.endMeshPings()
	for _, h := range r.hosted {
		h.role, h.old = nil, nil
		r.announceSoon(h)
	}
	for _, p := range m.held.Keys() {
		r.advance(p)
	}
	r.log.Info("the room has no cells any more")
	r.tellMesh()
}

// withPartner runs f in the actor of the other room of the database, if this process
// takes part in both. Nobody waits for it.
func (r *Room) withPartner(f func(other *Room)) {
	var other *Room
	if r.syncs != nil {
		other = r.syncs.app
	} else if m := r.memory.Load(); m != nil {
		other = m.room
	}
	if other != nil && !r.closing {
		r.tasks.Go(func() { other.post(func() { f(other) }) })
	}
}

// setKind notes how a remote peer takes part, here and in the other room of the database.
func (r *Room) setKind(rem *remote, k peerKind) {
	if r.noteKind(rem, k) {
		id := rem.id
		r.withPartner(func(other *Room) { // who does not tell us in turn
			if rem := other.remotes[id]; rem != nil && (k == kindCells || rem.kind == kindUnknown) {
				other.noteKind(rem, k)
			}
		})
	}
}

// noteKind reports whether it is news.
func (r *Room) noteKind(rem *remote, k peerKind) bool {
	m := &r.mesh
	if m.mode == CellsOff {
		return false
	}
	if k == kindCells {
		m.pong = r.now()
		if !m.on {
			r.useCells()
		}
	}
	if rem.kind == k {
		return false
	}
	rem.kind = k
	if k == kindFull && m.on {
		for _, h := range r.hosted { // it was kept out until now
			r.advance(h.pair(rem.id))
			r.announceSoon(h)
		}
	}
	r.mix()
	return true
}

// mix notices whether the room has peers of both kinds.
func (r *Room) mix() {
	m := &r.mesh
	var kinds [kindFull + 1]int
	for _, rem := range r.remotes {
		kinds[rem.kind]++
	}
	mixed := m.on && kinds[kindCells] > 0 && kinds[kindFull] > 0
	switch {
	case mixed && !m.mixed:
		r.log.Warn("some peers use cells and some do not: what they say is carried between them", "cells", kinds[kindCells], "full", kinds[kindFull])
	case m.mixed && !mixed:
		r.log.Info("all peers are of one kind again")
	default:
		return
	}
	m.mixed = mixed
	r.tellMesh()
}

func (r *Room) meshTickSoon() {
	if !r.mesh.ticking {
		r.mesh.ticking = true
		r.after(cells.Tick, r.meshTick)
	}
}

// meshTick is the mesh's regular round, while there is something to look after.
func (r *Room) meshTick() {
	m := &r.mesh
	m.ticking = false
	if r.closing || m.mode == CellsOff {
		return
	}
	now := r.now()
	asking := r.askKinds(now)
	if m.on && m.mode == CellsAuto && now.Sub(m.pong) > cells.Suspicion && !r.anyone(kindCells) {
		r.leaveCells()
	}
	if m.on {
		r.census(now)
		r.learnSize()
		if m.seals.Due(now) {
			r.seal(now)
		} else if now.Sub(m.sealed) < cells.Cap {
			r.takeRoles() // others may have sealed after us
		}
		r.expireMeshPings(now)
	}
	if m.on || asking {
		r.meshTickSoon()
	}
}

func (r *Room) anyone(k peerKind) bool {
	for _, rem := range r.remotes {
		if rem.kind == k && !rem.gone {
			return true
		}
	}
	return false
}

// MeshState is the place of the peer that speaks for the seat; Epoch is 0 in a room
// without cells. Changes come as MeshChange.
func (a *Attachment) MeshState() (state MeshState) {
	a.seat.room.ask(func() { state = a.seat.room.meshState(a.seat.hosted) })
	return state
}

// MeshState is the place of the server's own peer.
func (r *Room) MeshState() (state MeshState) {
	r.ask(func() { state = r.meshState(r.server) })
	return state
}

// MeshPeers is the sealed roster, sorted; nil in a room without cells. It must not be
// changed.
func (r *Room) MeshPeers() (peers []MeshPeer) {
	r.ask(func() {
		m := &r.mesh
		if !m.on || m.topology == nil {
			return
		}
		if m.listed == nil { // of 10,000 peers it takes 20 ms, and anybody may ask
			for _, id := range m.topology.IDs() {
				m.listed = append(m.listed, MeshPeer{id, m.topology.Cell(id), m.topology.IsBridge(id), m.topology.Bridges(id)})
			}
		}
		peers = m.listed
	})
	return peers
}

func (r *Room) meshState(h *hosted) MeshState {
	m := &r.mesh
	s := MeshState{Peer: h.id, Mixed: m.mixed}
	if !m.on || h.role == nil {
		return s
	}
	t := m.topology
	s.Epoch, s.Cell, s.Bridge, s.Bridges = m.epoch, h.role.Cell, h.role.Bridge, t.Bridges(h.id)
	s.Size, s.Cells, s.Known, s.Peers, s.TTL = m.size, t.Cells(), t.Known(), t.Len(), t.TTL()
	return s
}

// tellMesh tells all seats of their places.
func (r *Room) tellMesh() {
	for _, h := range r.hosted {
		change := MeshChange{r.meshState(h)}
		for s := range h.seats {
			s.push(change)
		}
	}
}
