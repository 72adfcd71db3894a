package engine

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// Whether a page uses cells is not on the wire until it has something to say. It is
// asked: who uses cells answers a ping of the mesh on the channel of cell 0, which pages
// take for their own wherever they are, and to others the ping is a message on a channel
// without listeners.

// maxKindAsks is how often a peer is asked that does not answer. Then it uses no cells.
const maxKindAsks = 4

// askKinds asks the linked peers of which it is not known how they take part. It reports
// whether there are any.
func (r *Room) askKinds(now time.Time) (asking bool) {
	for _, rem := range r.remotes {
		if rem.kind != kindUnknown || rem.linked == 0 || rem.isServers() {
			continue
		}
		asking = true
		if now.Sub(rem.asked) >= cells.Tick {
			r.askKind(rem)
		}
	}
	return asking
}

func (r *Room) askKind(rem *remote) {
	if rem.asks >= maxKindAsks {
		r.setKind(rem, kindFull)
		return
	}
	h, p := r.server, r.server.pairs[rem.id]
	if p == nil || p.live == nil { // by any other
		for _, h = range r.hosted {
			if p = h.pairs[rem.id]; p != nil && p.live != nil {
				break
			}
		}
	}
	if p == nil || p.live == nil {
		return
	}
	rem.asks, rem.asked = rem.asks+1, r.now()
	ping := cells.AppendPing(nil, cells.Ping{ID: h.id + "-" + rem.id, Target: rem.id})
	r.sendFrame(h, p, 0, &cells.Frame{Kind: cells.KindPing, Data: ping})
}

// meet begins to ask a peer that has got a link.
func (r *Room) meet(rem *remote) {
	if r.mesh.mode == CellsOff || rem.kind != kindUnknown || rem.isServers() {
		return
	}
	if rem.asks == 0 {
		r.askKind(rem)
	}
	r.meshTickSoon()
}
