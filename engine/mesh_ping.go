package engine

import (
	"strconv"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// A pong to who has no link with us goes to everybody, and everybody can ask for it.
const (
	pongGap   = 100 * time.Millisecond
	pongBurst = 50
)

// meshPing is a ping through the mesh that waits for its pong.
type meshPing struct {
	seat  *Seat
	ref   uint64
	peer  string
	since time.Time
}

// pingFar pings a peer of another cell on behalf of a seat.
func (r *Room) pingFar(s *Seat, ref uint64, peer string) {
	m := &r.mesh
	m.seq++
	id := s.hosted.id + "-" + strconv.FormatUint(m.seq, 36)
	m.pings[id] = meshPing{s, ref, peer, r.now()}
	r.originate(s.hosted, &cells.Frame{Kind: cells.KindPing, Data: cells.AppendPing(nil, cells.Ping{ID: id, Target: peer})}, nil)
}

// onPong takes the pong to a ping of ours.
func (r *Room) onPong(f *cells.Frame) {
	p, ok := f.Pong()
	if !ok {
		r.node.counters.drop("mesh: bad pong")
		return
	}
	if ping, ok := r.mesh.pings[p.ID]; ok && ping.peer == f.Origin {
		delete(r.mesh.pings, p.ID)
		ping.seat.push(Pong{ping.ref, ping.peer, nil})
	}
}

// answerPing answers a ping to one of ours. It reports whether it was for one that is
// linked with who asks, and of no interest to others.
func (r *Room) answerPing(f *cells.Frame) bool {
	p, ok := f.Ping()
	if !ok {
		r.node.counters.drop("mesh: bad ping")
		return true
	}
	h := r.hosted[p.Target]
	if h == nil {
		return false
	}
	pong := &cells.Frame{Kind: cells.KindPong, Data: cells.AppendPong(nil, cells.Pong{ID: p.ID, At: r.now().UnixMilli()})}
	pair := h.pairs[f.Origin]
	if pair == nil || pair.live == nil {
		switch {
		case !r.mesh.on:
		case r.mesh.pongs.AllowN(r.now(), 1):
			r.originate(h, pong, nil)
		default:
			r.node.counters.drop("mesh: too many pings by way of others")
		}
		return false
	}
	// It hears its own cell in any case.
	cell := 0
	if t := r.mesh.topology; t != nil {
		cell = max(0, t.Cell(f.Origin))
	}
	r.sendFrame(h, pair, cell, pong)
	return true
}

// sendFrame sends a frame of a hosted peer by one link, on the channel of a cell. It is
// for that peer alone.
func (r *Room) sendFrame(h *hosted, p *pair, cell int, f *cells.Frame) {
	r.mesh.seq++
	f.ID, f.Origin = cells.NewID(h.id, r.now(), r.mesh.seq), h.id
	if h.role != nil {
		f.OriginCell = h.role.Cell
	}
	s := spreading{room: r, frame: f}
	s.out(h, way{cell, []string{p.remote}})
}

func (r *Room) expireMeshPings(now time.Time) {
	for id, p := range r.mesh.pings {
		if now.Sub(p.since) > pingTime {
			delete(r.mesh.pings, id)
			p.seat.push(Pong{p.ref, p.peer, ErrPingTimeout})
		}
	}
}

// endMeshPings is for the end of the cells, through which no pong comes any more.
func (r *Room) endMeshPings() {
	for _, p := range r.mesh.pings {
		p.seat.push(Pong{p.ref, p.peer, ErrPeerGone})
	}
	clear(r.mesh.pings)
}
