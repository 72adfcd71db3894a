package engine

import (
	"encoding/json"
	"slices"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// meshFrame reads a message as a frame of the mesh. It reports false for a message of
// an application, whose channel may have a name like those of cells.
func (l *link) meshFrame(m *frame.Message) bool {
	cell, ok := cells.ParseChannel(m.Channel)
	if !ok || m.Content.Kind == Binary || l.room.cellsOff.Load() {
		return false
	}
	data := m.Content.Data
	if m.Content.Kind == JSON && len(data) > 0 && data[0] == '"' {
		var text string
		if json.Unmarshal(data, &text) != nil {
			return false
		}
		data = []byte(text)
	}
	f, err := cells.Decode(data)
	if err != nil {
		return false
	}
	// Of a link one frame at most waits for the actor, as what it says may be large.
	l.room.ask(func() { l.room.onMeshFrame(l, cell, &f) })
	return true
}

// onMeshFrame takes a frame that came by a link on the channel of a cell.
func (r *Room) onMeshFrame(l *link, cell int, f *cells.Frame) {
	c := &r.node.counters
	m := &r.mesh
	rem := r.remotes[l.pair.remote]
	if l.pair.live != l || rem == nil {
		c.drop("mesh: by a link that was replaced")
		return
	}
	if r.local(f.Origin) != nil || r.hosted[f.Origin] != nil {
		if m.seen.Add(f.ID) {
			c.drop("mesh: claims a hosted peer")
		} else { // our own comes back
			c.meshCopies.Add(1)
			r.repeated(f.ID, cell)
		}
		return
	}
	// A server like ours pings to find out, and does not know itself.
	if f.Kind != cells.KindPing || !rem.isServers() {
		r.setKind(rem, kindCells)
	}
	if f.OriginCell >= 0 && f.Kind != cells.KindPing && f.Origin == rem.id {
		r.claim(rem.id, f.OriginCell)
	}
	switch {
	case !m.on && f.Kind != cells.KindPing:
		c.drop("mesh: the room has no cells")
		return
	case f.Kind != cells.KindPong && !l.pair.h.serves(cell):
		c.drop("mesh: not on our channel")
		return
	case !m.seen.Add(f.ID):
		c.meshCopies.Add(1)
		r.repeated(f.ID, cell)
		return
	}
	c.meshFrames.Add(1)
	switch f.Kind {
	case cells.KindMsg:
		r.meshMessage(l, f)
	case cells.KindPing:
		if r.answerPing(f) {
			return
		}
	case cells.KindPong:
		r.onPong(f)
	default:
		c.drop("mesh: unknown kind of frame")
		return
	}
	r.passOn(f, cell)
}

// serves tells whether a hosted peer is to hear the channel of a cell: its own, or as a
// bridge a neighbour's. Before its first seal it hears all.
func (h *hosted) serves(cell int) bool {
	if h.role == nil {
		return true
	}
	for _, role := range []*cells.Role{h.role, h.old} {
		if role != nil && (role.Cell == cell || role.Bridge && slices.Contains(role.Neighbours, cell)) {
			return true
		}
	}
	return false
}

// passOn has all hosted peers that are bridges pass a frame on which came from outside
// on the channel of a cell.
func (r *Room) passOn(f *cells.Frame, cell int) {
	if f.TTL == 0 || !r.mesh.on || r.mesh.topology == nil {
		return
	}
	next := *f
	if next.TTL--; f.TTL < 0 {
		next.TTL = r.mesh.topology.TTL() - 1
	}
	if r.repeat(&next, cell) {
		r.node.counters.drop("mesh: too large for a frame")
	}
}

// repeat has all hosted peers that are bridges send a frame on, which was on the channel
// of a cell. It reports whether it is too large for that. Bridges of neighbours that have
// the frame hear it too: it shows them that they need not fill in.
func (r *Room) repeat(f *cells.Frame, came int) (large bool) {
	s := spreading{room: r, frame: f}
	later := &fill{frame: f, ways: make(map[int]*hosted)}
	var now []int
	bridges := false
	for _, h := range r.hosted {
		bridges = bridges || h.role != nil && h.role.Bridge
		for _, w := range h.ways(came) {
			if t := r.mesh.topology; w.cell < t.Cells() && t.Bridge(w.cell) == "" {
				continue // nobody is there
			}
			if h.role != nil && w.cell == h.role.Cell || h.old != nil && w.cell == h.old.Cell || !r.repeats(w.cell, came) {
				r.node.counters.meshPassed.Add(1)
				now = append(now, w.cell)
				s.out(h, w)
			} else {
				later.ways[w.cell] = h
			}
		}
	}
	for _, cell := range now {
		delete(later.ways, cell)
	}
	if !s.large {
		r.fillLater(later)
		if bridges {
			r.mesh.recent.add(f, r.now())
		}
	}
	return s.large
}

// originate sends a frame of ours, from a hosted peer. The bridges among the others
// have it at once. One that came since the last seal has no place yet: the server's peer
// speaks for it.
func (r *Room) originate(h *hosted, f *cells.Frame, o *origin) {
	m := &r.mesh
	if f.Origin == "" {
		f.Origin = h.id
	}
	if f.ID == "" {
		m.seq++
		f.ID = cells.NewID(f.Origin, r.now(), m.seq)
	}
	m.seen.Add(f.ID)
	s := spreading{room: r, frame: f, origin: o}
	if h.role == nil && r.server.role != nil {
		h = r.server
	}
	if h.role == nil { // before the first seal all are in one cell
		f.OriginCell, f.TTL = 0, 5
		w := way{}
		for id, p := range h.pairs {
			if p.live != nil {
				w.to = append(w.to, id)
			}
		}
		s.out(h, w)
	} else {
		f.OriginCell, f.TTL = m.topology.Cell(f.Origin), h.role.TTL
		for _, w := range h.ownWays() {
			s.out(h, w)
		}
		next := *f
		next.TTL--
		s.large = r.repeat(&next, h.role.Cell) || s.large
	}
	if s.large {
		r.node.counters.drop("mesh: too large for a frame")
		if o != nil && o.seat != nil {
			o.seat.push(Result{o.ref, "", ErrTooLarge})
		}
	}
}

// way is the channel of a cell, and who is to hear of a frame on it.
type way struct {
	cell int
	to   []string
}

// ownWays are those of what a hosted peer has to say itself, in its own cell. During
// the grace after a seal those are served too that hear it by its old role.
func (h *hosted) ownWays() []way {
	ways := []way{{h.role.Cell, h.role.Audience[h.role.Cell]}}
	if h.old != nil {
		ways = addWay(ways, h.old.Cell, h.old.Audience[h.old.Cell])
	}
	return ways
}

// ways are those of a frame that came on the channel of a cell: a bridge takes it to its
// own cell and to all neighbours.
func (h *hosted) ways(came int) (ways []way) {
	for _, role := range []*cells.Role{h.role, h.old} {
		if role == nil || !role.Bridge {
			continue
		}
		for _, cell := range append([]int{role.Cell}, role.Neighbours...) {
			if cell != came {
				ways = addWay(ways, cell, role.Audience[cell])
			}
		}
	}
	return ways
}

func addWay(ways []way, cell int, to []string) []way {
	for i, w := range ways {
		if w.cell != cell {
			continue
		}
		all := slices.Clip(w.to)
		for _, id := range to {
			if !slices.Contains(w.to, id) {
				all = append(all, id)
			}
		}
		ways[i].to = all
		return ways
	}
	return append(ways, way{cell, to})
}

// origin is whose message a frame carries, who is told of what becomes of it.
type origin struct {
	seat      *Seat
	ref       uint64
	progress  bool
	redeliver bool
	delivery  *delivery
	carried   *carried // nil: nobody wants to know
}

// spreading is a frame on its way out, by several channels.
type spreading struct {
	room    *Room
	frame   *cells.Frame
	payload []byte // of frame
	origin  *origin
	gave    map[string]bool // who has got it as the origin's, who is told of one copy for each
	large   bool            // it is too large for links
}

// out gives the frame to those of a way that h has, or is to have, a link with.
func (s *spreading) out(h *hosted, w way) {
	r := s.room
	var frames [][]byte
	channel := cells.Channel(w.cell)
	for _, id := range w.to {
		rem := r.remotes[id]
		if rem == nil || rem.kind == kindFull || id == s.frame.Origin && r.mesh.topology.Cell(id) == w.cell {
			continue
		}
		p := h.pairs[id]
		if (p == nil || p.live == nil) && !h.role.Keeps(id) {
			continue
		}
		if frames == nil {
			if s.payload == nil {
				s.payload = s.frame.Append(nil)
			}
			var err error
			if frames, err = frame.Encode(channel, h.nextNonce(channel), Content{Kind: Text, Data: s.payload}); err != nil {
				s.large = true
				return
			}
		}
		s.put(h.pair(id), &outgoing{channel: channel, frames: frames})
	}
}

// maxMeshWaiting is how many bytes may wait in a room for the links that roles want: their
// peers are only said to be there.
const maxMeshWaiting = 64 << 20

// put gives a frame to a pair. Where the link that the role wants is not there yet, it
// waits for it: of a frame that comes twice a peer takes one.
func (s *spreading) put(p *pair, m *outgoing) {
	r := s.room
	m.waits = true
	if o := s.origin; o != nil && !s.gave[p.remote] {
		if s.gave == nil {
			s.gave = make(map[string]bool)
		}
		s.gave[p.remote] = true
		m.seat, m.ref, m.progress, m.redeliver, m.delivery = o.seat, o.ref, o.progress, o.redeliver, o.delivery
		o.delivery.begin()
		if o.carried != nil {
			m.report = o.carried.by(len(m.frames))
		}
	}
	err := ErrPeerGone
	if p.live != nil {
		err = p.live.out.put(m.channel, m)
	}
	if err == ErrPeerGone && p.h.role.Keeps(p.remote) {
		r.expectRole(p)
		if m.report != nil { // nobody waits for a link that may never be
			m.report(len(m.frames), nil)
			m.report = nil
		}
		if err = ErrPeerSlow; r.waitingBytes+m.cost() <= maxMeshWaiting {
			err = r.wait(p, m)
		}
	}
	if err != nil {
		m.failed(p.remote, err)
	}
}

// expectRole has a pair hold what is sent until its link opens, as its role says that
// it will.
func (r *Room) expectRole(p *pair) {
	if p.waiting != nil {
		return
	}
	w := r.newWaiting()
	p.waiting = w
	w.stop = r.after(waitTime, func() {
		if p.waiting == w {
			p.giveUp()
		}
	})
}
