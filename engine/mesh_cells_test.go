package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// cellRoom is a room of several servers whose peers form cells. Each has some seats.
type cellRoom struct {
	t       *testing.T
	net     *memnet.Network
	nodes   []*engine.Node
	rooms   []*engine.Room
	clients []*client
}

func openCells(t *testing.T, net *memnet.Network, servers, seats, size int) *cellRoom {
	c := &cellRoom{t: t, net: net}
	for range servers {
		c.add(seats, size)
	}
	return c
}

func (c *cellRoom) add(seats, size int) {
	n, r := serve(c.t, c.net, fmt.Sprint("server", len(c.nodes)), engine.RoomConfig{Cells: engine.CellsOn, CellSize: size}, engine.Limits{})
	c.nodes, c.rooms = append(c.nodes, n), append(c.rooms, r)
	for range seats {
		c.clients = append(c.clients, join(c.t, r, engine.SeatConfig{}))
	}
}

// expect checks that of the messages with these texts each client has heard all that
// others sent, once.
func (c *cellRoom) expect(sent map[string][]string) {
	c.t.Helper()
	for _, to := range c.clients {
		got := map[string]int{}
		for _, m := range of[*engine.Message](to) {
			got[m.From+" "+string(m.Content.Data)]++
		}
		want := map[string]int{}
		for from, texts := range sent {
			for _, text := range texts {
				if from != to.ID() {
					want[from+" "+text] = 1
				}
			}
		}
		if !maps.Equal(got, want) {
			lost := 0
			for m := range want {
				if got[m] == 0 {
					lost++
				}
			}
			c.t.Errorf("%s (%+v) heard %d messages of %d: %d are lost", to.ID(), to.MeshState(), len(got), len(want), lost)
		}
	}
}

func TestCellsReachEverybodyOnce(t *testing.T) {
	for _, size := range []int{2, 3, 50} {
		t.Run(fmt.Sprint("size=", size), func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				room := openCells(t, net, 7, 2, size)
				settle(40 * time.Second)

				state := room.clients[0].MeshState()
				if state.Peers != 21 || state.Cells != (21+size-1)/size {
					t.Errorf("state %+v", state)
				}
				topology := cells.New(size)
				for _, p := range room.rooms[0].MeshPeers() {
					topology.Add(p.ID)
				}
				for _, r := range room.rooms[1:] {
					if !slices.EqualFunc(r.MeshPeers(), room.rooms[0].MeshPeers(), func(a, b engine.MeshPeer) bool {
						return a.ID == b.ID && a.Cell == b.Cell && a.Bridge == b.Bridge && slices.Equal(a.Bridges, b.Bridges)
					}) {
						t.Error("servers do not agree on the topology")
					}
				}
				for _, c := range room.clients {
					for peer := range c.peers() {
						if !topology.Role(c.ID()).Keeps(peer) && !slices.ContainsFunc(c.welcome, func(p engine.Peer) bool { return p.ID == peer }) {
							local := false
							for _, r := range room.rooms {
								for _, other := range r.Peers() {
									local = local || other.ID == peer
								}
							}
							if !local {
								t.Errorf("%s is linked with %s and has no role for it", c.ID(), peer)
							}
						}
					}
				}

				sent := map[string][]string{}
				for _, c := range room.clients {
					for i := range 5 {
						msg := fmt.Sprint("message ", i)
						c.send("chat", text(msg))
						sent[c.ID()] = append(sent[c.ID()], msg)
					}
				}
				settle(2 * time.Second)
				room.expect(sent)
			})
		})
	}
}
