package engine

import (
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// A bridge that dies may have repeated a frame where its neighbours hear it, and not to
// all members of its cell. So the neighbours' bridges repeat what passed of late when
// their link with it ends. Who has it already drops it by its id.

const (
	// recentTime is longer than it takes to notice that a link is dead, mostly.
	recentTime = 10 * time.Second
	// maxRecent and maxRecentBytes bound what is kept. The oldest is forgotten.
	maxRecent      = 1_024
	maxRecentBytes = 1 << 20
)

type recentFrame struct {
	frame *cells.Frame
	at    time.Time
}

// recent are the frames that passed of late, oldest first.
type recent struct {
	frames []recentFrame
	bytes  int
}

func (q *recent) add(f *cells.Frame, now time.Time) {
	q.frames = append(q.frames, recentFrame{f, now})
	q.bytes += len(f.Data)
	for len(q.frames) > maxRecent || q.bytes > maxRecentBytes || now.Sub(q.frames[0].at) > recentTime {
		q.bytes -= len(q.frames[0].frame.Data)
		q.frames[0] = recentFrame{}
		if q.frames = q.frames[1:]; len(q.frames) == 0 {
			q.frames = nil
			return
		}
	}
}

// replaceBridge gives the cell of a remote bridge, whose link with a bridge of ours has
// ended, what it may not have had.
func (r *Room) replaceBridge(h *hosted, id string) {
	t := r.mesh.topology
	if !r.mesh.on || r.closing || t == nil || h.role == nil || r.hosted[h.id] != h {
		return
	}
	cell, now := t.Cell(id), r.now()
	if !slices.Contains(h.role.Neighbours, cell) || t.Bridge(cell) != id {
		return
	}
	for _, f := range r.mesh.recent.frames {
		if now.Sub(f.at) > recentTime {
			continue
		}
		r.node.counters.meshFilled.Add(1)
		s := spreading{room: r, frame: f.frame}
		s.out(h, way{cell, h.role.Audience[cell]})
	}
}
