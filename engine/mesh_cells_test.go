package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
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
	clients []*cellClient
}

type cellClient struct {
	*client
	server int
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
		c.clients = append(c.clients, &cellClient{join(c.t, r, engine.SeatConfig{}), len(c.rooms) - 1})
	}
}

// own are the peers that a server hosts.
func (c *cellRoom) own(server int) []string {
	var ids []string
	for _, p := range c.rooms[server].Peers() {
		if p.Type == engine.TypeServer {
			ids = append(ids, p.ID) // the first one is its own
			break
		}
	}
	for _, client := range c.clients {
		if client.server == server {
			ids = append(ids, client.ID())
		}
	}
	return ids
}

// roleLinks counts the links that the peers of a server are to have with others.
func (c *cellRoom) roleLinks(topology *cells.Topology, server int) int {
	own, n := c.own(server), 0
	for _, id := range own {
		for _, other := range topology.Role(id).Links {
			if !slices.Contains(own, other) {
				n++
			}
		}
	}
	return n
}

// expect checks that of the messages on "chat" each client has heard all that others sent,
// these texts, once.
func (c *cellRoom) expect(sent map[string][]string) {
	c.t.Helper()
	for _, to := range c.clients {
		got := map[string]int{}
		for _, m := range of[*engine.Message](to.client) {
			if m.Channel == "chat" { // to rooms without cells their channels are others
				got[m.From+" "+string(m.Content.Data)]++
			}
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
				for i, r := range room.rooms {
					if !slices.EqualFunc(r.MeshPeers(), room.rooms[0].MeshPeers(), func(a, b engine.MeshPeer) bool {
						return a.ID == b.ID && a.Cell == b.Cell && a.Bridge == b.Bridge && slices.Equal(a.Bridges, b.Bridges)
					}) {
						t.Error("servers do not agree on the topology")
					}
					if got, want := r.Stats().Links, room.roleLinks(topology, i); got != want {
						t.Errorf("server %d has %d links, its peers' roles %d", i, got, want)
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

// While servers come and go, those who stay hear each other: nothing is lost or comes
// twice.
func TestCellsUnderChurn(t *testing.T) {
	for seed := range 4 {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				net.Delay = 20 * time.Millisecond
				room := openCells(t, net, 6, 2, 2)
				stay := room.clients
				settle(40 * time.Second)
				sent := map[string][]string{}
				random := rand.New(rand.NewPCG(uint64(seed), 0))
				for i := range 60 {
					switch {
					case i%15 == 5:
						room.add(1, 2)
					case i%15 == 12:
						last := len(room.nodes) - 1
						if err := room.nodes[last].Close(t.Context()); err != nil {
							t.Error(err)
						}
					}
					from := stay[random.IntN(len(stay))]
					msg := fmt.Sprint("message ", i)
					from.send("chat", text(msg))
					sent[from.ID()] = append(sent[from.ID()], msg)
					settle(time.Duration(random.IntN(2000)) * time.Millisecond)
				}
				settle(10 * time.Second)
				room.clients = stay
				room.expect(sent)
			})
		})
	}
}

// What is sent to peers of other cells reaches them alone, what only links can take is
// refused to them, and pings come back.
func TestCellsDirected(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		room := openCells(t, net, 6, 2, 2)
		settle(40 * time.Second)
		from := room.clients[0]
		linked := from.peers()
		far, near := []string{}, []string{}
		for _, c := range room.clients[1:] {
			if _, ok := linked[c.ID()]; ok {
				near = append(near, c.ID())
			} else {
				far = append(far, c.ID())
			}
		}
		if len(far) == 0 || len(near) == 0 {
			t.Fatalf("%d clients have a link, %d have none", len(near), len(far))
		}
		bytes := engine.Content{Kind: engine.Binary, Data: []byte{1, 2, 3}, Meta: []byte(`{"a":1}`)}
		from.send("chat", text("to one"), far[0])
		from.send("chat", engine.Content{Kind: engine.JSON, Data: []byte(`{"n":1}`)}, append([]string{near[0]}, far...)...)
		from.send("chat", bytes, near[0], far[0])
		from.send(engine.ChannelMesh, text("to the mesh"))
		if err := from.Ping(t.Context(), 7, far[0]); err != nil {
			t.Error(err)
		}
		if err := from.Ping(t.Context(), 8, "nobody"); err != nil {
			t.Error(err)
		}
		settle(2 * time.Second)
		for _, c := range room.clients[1:] {
			var got []string
			for _, m := range of[*engine.Message](c.client) {
				got = append(got, m.Channel+" "+string(m.Content.Data))
			}
			slices.Sort(got)
			want := []string{"@_mesh to the mesh"}
			if slices.Contains(far, c.ID()) || c.ID() == near[0] {
				want = append(want, `chat {"n":1}`)
			}
			if c.ID() == far[0] {
				want = append(want, "chat to one")
			}
			if c.ID() == near[0] {
				want = append(want, "chat \x01\x02\x03")
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s got %q, want %q", c.ID(), got, want)
			}
		}
		if got := of[engine.Result](from.client); len(got) != 1 || got[0].Peer != far[0] || got[0].Err != engine.ErrOtherCell {
			t.Errorf("results %v", got)
		}
		pongs := of[engine.Pong](from.client)
		slices.SortFunc(pongs, func(a, b engine.Pong) int { return int(a.Ref) - int(b.Ref) })
		if want := []engine.Pong{{Ref: 7, Peer: far[0]}, {Ref: 8, Peer: "nobody", Err: engine.ErrUnknownPeer}}; !slices.Equal(pongs, want) {
			t.Errorf("pongs %v, want %v", pongs, want)
		}
	})
}

// On the mesh's own channel other peers take JSON and text to all, as browsers send it. Of
// what they cannot take the sender is told, and they hear nothing.
func TestCellsMeshChannelRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		room := openCells(t, net, 6, 2, 2)
		settle(40 * time.Second)
		from, local := room.clients[0], room.clients[1]
		from.send(engine.ChannelMesh, engine.Content{Kind: engine.Binary, Data: []byte{1}})
		settle(time.Second)
		results := of[engine.Result](from.client)
		if len(results) != 5*3 { // the peers of five servers, each with two seats
			t.Errorf("%d results", len(results))
		}
		for _, r := range results {
			if r.Err != engine.ErrOtherCell {
				t.Errorf("result %v", r)
			}
		}
		var to []string
		for _, c := range room.clients[1:] {
			to = append(to, c.ID())
		}
		from.send(engine.ChannelMesh, text("to some"), to...)
		settle(time.Second)
		results = of[engine.Result](from.client)[len(results):]
		if len(results) != len(to)-1 {
			t.Errorf("%d results", len(results))
		}
		for _, r := range results {
			if r.Err != engine.ErrNotHeard {
				t.Errorf("result %v", r)
			}
		}
		for _, c := range room.clients[1:] {
			want := 0
			if c == local {
				want = 2
			}
			if got := of[*engine.Message](c.client); len(got) != want {
				t.Errorf("%s got %d messages, want %d", c.ID(), len(got), want)
			}
		}
	})
}
