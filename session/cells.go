package session

import (
	"iter"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// rosterBytes is about how much one message of a roster has, in JSON: every transport
// takes it, and the writer writes about so much at once.
const rosterBytes = 32 << 10

// onMesh answers with the sealed roster. Nothing is read of the client until the last
// of it is about to be written.
func (s *session) onMesh(id uint64) {
	for m := range rosterMessages(id, s.Room.MeshPeers()) {
		if !s.tell(s.ctx, [][]byte{s.Codec.Encode(&m)}) {
			return
		}
	}
}

// rosterMessages are the answer to a request, one at least.
func rosterMessages(id uint64, peers []engine.MeshPeer) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		m := Message{Op: OpMesh, ID: id, Roster: []engine.MeshPeer{}}
		size := 0
		for _, p := range peers {
			if size >= rosterBytes {
				m.More = true
				if !yield(m) {
					return
				}
				m.More, m.Roster, size = false, []engine.MeshPeer{}, 0
			}
			m.Roster = append(m.Roster, p)
			size += len(`{"peer":"","cellId":"cell-1000","isBridge":false,"bridges":[]},`) + len(p.ID)
			size += len(p.Bridges) * len(`"cell-1000",`)
		}
		yield(m)
	}
}

// writePlace writes a `mesh` that tells of the place of a hosted peer.
func writePlace(w writer, p *engine.MeshState) {
	n := 3
	if p.Epoch > 0 {
		n += 8
	}
	if p.Mixed {
		n++
	}
	w.beginMap(n)
	w.key(fieldNames[fOp])
	w.string(string(OpMesh))
	w.key("epoch")
	w.uint(p.Epoch)
	w.key(fieldNames[fPeer])
	w.string(p.Peer)
	if p.Epoch > 0 {
		writeRole(w, p.Cell, p.Bridge, p.Bridges)
		for _, count := range []struct {
			name string
			n    int
		}{
			{"cellSize", p.Size}, {"totalCells", p.Cells}, {"knownCells", p.Known}, {"totalPeers", p.Peers}, {"dynamicTTL", p.TTL},
		} {
			w.key(count.name)
			w.uint(uint64(count.n))
		}
	}
	if p.Mixed {
		w.key("mixed")
		w.bool(true)
	}
	w.endMap()
}

func writeMeshPeer(w writer, p *engine.MeshPeer) {
	w.beginMap(4)
	w.key(fieldNames[fPeer])
	writeValue(w, &p.ID)
	writeRole(w, p.Cell, p.Bridge, p.Bridges)
	w.endMap()
}

// writeRole writes the three fields that a place and a peer of the roster have.
func writeRole(w writer, cell int, bridge bool, bridges []string) {
	w.key("cellId")
	w.string(cells.Name(cell))
	w.key("isBridge")
	w.bool(bridge)
	w.key("bridges")
	writeValue(w, &bridges)
}
