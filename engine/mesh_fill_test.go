package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// single is a server with one peer, its own, and a seat that speaks by it.
type single struct {
	*client
	node     *engine.Node
	room     *engine.Room
	endpoint *memnet.Endpoint
}

func openSingles(t *testing.T, net *memnet.Network, n, size int) (list []*single, top *cells.Topology) {
	for i := range n {
		s := &single{endpoint: net.Endpoint(fmt.Sprint("server", i))}
		s.node, s.room = serveAt(t, s.endpoint, engine.RoomConfig{Cells: engine.CellsOn, CellSize: size}, engine.Limits{})
		s.client = join(t, s.room, engine.SeatConfig{Identity: engine.IdentityServer})
		list = append(list, s)
	}
	settle(40 * time.Second)
	top = cells.New(size)
	for _, p := range list[0].room.MeshPeers() {
		top.Add(p.ID)
	}
	if top.Len() != n {
		t.Fatalf("%d peers in the topology, want %d", top.Len(), n)
	}
	return list, top
}

func (s *single) heard(text string) (n int) {
	for _, m := range of[*engine.Message](s.client) {
		if string(m.Content.Data) == text {
			n++
		}
	}
	return n
}

// While a bridge says nothing, its cell and those behind it hear everything all the same,
// within half a second and the way there.
func TestCellsFillInForABridge(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		net.Delay = 5 * time.Millisecond
		list, top := openSingles(t, net, 20, 3)
		dead := 0
		for _, b := range list {
			if !top.IsBridge(b.Mesh()) {
				continue
			}
			dead++
			b.endpoint.Freeze(true)
			filled := uint64(0)
			for _, from := range list {
				if from == b || top.Cell(from.Mesh()) == top.Cell(b.Mesh()) {
					continue
				}
				said := fmt.Sprintf("from %s without %s", from.Mesh(), b.Mesh())
				from.send("chat", text(said))
				settle(550 * time.Millisecond)
				for _, to := range list {
					if n := to.heard(said); to != from && n != 1 {
						t.Errorf("%s in cell %d heard what came from cell %d %d times, while the bridge of %d was dead", to.Mesh(), top.Cell(to.Mesh()), top.Cell(from.Mesh()), n, top.Cell(b.Mesh()))
					}
				}
			}
			for _, s := range list {
				filled += s.node.Stats().MeshFilled
			}
			if filled == 0 {
				t.Error("nobody filled in")
			}
			b.endpoint.Freeze(false)
			settle(10 * time.Second)
		}
		if dead != top.Known() {
			t.Errorf("%d of %d bridges were dead in turn", dead, top.Known())
		}
	})
}

// Without faults nobody fills in, and hardly anybody hears a message twice.
func TestCellsCopies(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		net.Delay = 5 * time.Millisecond
		list, _ := openSingles(t, net, 60, 3)
		for _, s := range list {
			s.send("chat", text("from "+s.Mesh()))
		}
		settle(2 * time.Second)
		var copies []float64
		var filled, passed uint64
		for _, s := range list {
			stats := s.node.Stats()
			if stats.MeshFrames != uint64(len(list)-1) {
				t.Errorf("a peer has %d frames of %d", stats.MeshFrames, len(list)-1)
			}
			copies = append(copies, float64(stats.MeshFrames+stats.MeshCopies)/float64(len(list)-1))
			filled += stats.MeshFilled
			passed += stats.MeshPassed
		}
		slices.Sort(copies)
		median := copies[len(copies)/2]
		t.Logf("copies that a peer gets of a message: %.2f in the median, %.2f at most; %d filled in, %d passed on", median, copies[len(copies)-1], filled, passed)
		if median > 1.5 {
			t.Errorf("%.2f copies in the median", median)
		}
		if filled > 0 {
			t.Errorf("%d frames were filled in", filled)
		}
	})
}
