package engine

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// By the browsers' rule a bridge repeats a frame at once on the channels of all its
// neighbours. Their own bridges do the same in their cells, so that with a thousand cells
// everybody hears a frame eighteen times. Ours repeat it in their own cell only, and
// fill in for a neighbour's bridge if that is not heard to repeat it in time: it may be
// gone, or not have had the frame.

const (
	// fillAfter is that time, and fillSpread what is added at random to it: the first
	// who fills in is heard by the others.
	fillAfter  = 250 * time.Millisecond
	fillSpread = 250 * time.Millisecond
	// maxFills is how many frames are watched in a room, and maxFilling how many bytes of
	// them. Beyond them, the neighbours get theirs at once.
	maxFills   = 4_096
	maxFilling = 16 << 20
)

// fill is a frame that neighbours' bridges are to repeat.
type fill struct {
	frame *cells.Frame
	ways  map[int]*hosted // by cell: who fills in
	stop  func()
}

// fillLater watches over a frame.
func (r *Room) fillLater(f *fill) {
	if len(f.ways) == 0 {
		return
	}
	m := &r.mesh
	if _, twice := m.fills[f.frame.ID]; twice || len(m.fills) >= maxFills || m.filling+len(f.frame.Data) > maxFilling {
		r.node.counters.drop("mesh: too many frames to watch, sent at once")
		r.fillIn(f)
		return
	}
	m.fills[f.frame.ID] = f
	m.filling += len(f.frame.Data)
	wait := fillAfter + time.Duration(r.node.jitter()*float64(fillSpread))
	f.stop = r.after(wait, func() {
		if m.fills[f.frame.ID] == f {
			r.endFill(f)
			r.fillIn(f)
		}
	})
}

// endFill ends the watch over a frame.
func (r *Room) endFill(f *fill) {
	delete(r.mesh.fills, f.frame.ID)
	r.mesh.filling -= len(f.frame.Data)
}

func (r *Room) fillIn(f *fill) {
	s := spreading{room: r, frame: f.frame}
	for cell, h := range f.ways {
		if r.hosted[h.id] == h && h.serves(cell) && h.role != nil {
			r.node.counters.meshFilled.Add(1)
			s.out(h, way{cell, h.role.Audience[cell]})
		}
	}
}

// repeated notes that a frame was heard on the channel of a cell.
func (r *Room) repeated(id string, cell int) {
	f := r.mesh.fills[id]
	if f == nil {
		return
	}
	delete(f.ways, cell)
	if len(f.ways) == 0 {
		f.stop()
		r.endFill(f)
	}
}

// repeats tells whether the bridge of a cell can be left to repeat a frame that it hears
// on the channel of another: browsers do not repeat those of the first cell.
func (r *Room) repeats(cell, came int) bool {
	b := r.mesh.topology.Bridge(cell)
	rem := r.remotes[b]
	return came != 0 || r.hosted[b] != nil || rem != nil && rem.isServers()
}
