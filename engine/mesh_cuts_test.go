package engine_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// While servers are cut off, and seats come and go, nobody hears a message twice. What
// some do not hear was counted where it was lost, or its sender was told; and once all is
// calm everybody hears everything.
func TestCellsUnderCuts(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				random := rand.New(rand.NewPCG(seed, 1))
				net.Delay = time.Duration(random.IntN(40)) * time.Millisecond
				var nodes []*engine.Node
				var rooms []*engine.Room
				var ends []*memnet.Endpoint
				room := &cellRoom{t: t, net: net}
				for i := range 5 + random.IntN(4) {
					e := net.Endpoint(fmt.Sprint("server", i))
					n, r := serveAt(t, e, engine.RoomConfig{Cells: engine.CellsOn, CellSize: 2}, engine.Limits{})
					nodes, rooms, ends = append(nodes, n), append(rooms, r), append(ends, e)
					for range 1 + random.IntN(2) {
						room.clients = append(room.clients, &cellClient{join(t, r, engine.SeatConfig{}), i})
					}
				}
				settled := room.clients
				settle(40 * time.Second)

				sent := map[string][]string{}
				said := 0
				say := func() {
					from := settled[random.IntN(len(settled))]
					said++
					msg := fmt.Sprint("message ", said)
					if err := from.Send(t.Context(), engine.Outgoing{Ref: uint64(said), Channel: "chat", Content: text(msg)}); err != nil {
						t.Error(err)
					}
					sent[from.ID()] = append(sent[from.ID()], msg)
				}
				for i := range 40 {
					switch {
					case i%10 == 3:
						say() // is under way
						settle(time.Duration(random.IntN(30)) * time.Millisecond)
						ends[random.IntN(len(ends))].Cut()
					case i%10 == 6:
						seat := join(t, rooms[random.IntN(len(rooms))], engine.SeatConfig{})
						time.AfterFunc(time.Duration(random.IntN(8))*time.Second, func() { seat.Leave() })
					}
					say()
					settle(time.Duration(random.IntN(1500)) * time.Millisecond)
				}
				settle(2 * time.Minute)

				lost := 0
				for _, to := range settled {
					got := map[string]int{}
					for _, m := range of[*engine.Message](to.client) {
						got[m.From+" "+string(m.Content.Data)]++
					}
					for from, texts := range sent {
						for _, msg := range texts {
							switch n := got[from+" "+msg]; {
							case n > 1:
								t.Errorf("%s heard %q %d times", to.ID(), msg, n)
							case n == 0 && from != to.ID():
								lost++
							}
						}
					}
				}
				results, counted := 0, uint64(0)
				for _, c := range settled {
					told := map[string]bool{}
					for _, r := range of[engine.Result](c.client) {
						if key := fmt.Sprint(r.Ref, r.Peer); r.Ref > 0 && told[key] {
							t.Errorf("told twice of message %d to %s", r.Ref, r.Peer)
						} else {
							told[key] = true
						}
						results++
					}
				}
				reasons := map[string]uint64{}
				for _, n := range nodes {
					for reason, n := range n.Stats().Dropped {
						reasons[reason] += n
						if strings.HasPrefix(reason, "mesh: ") {
							counted += n
						}
					}
				}
				t.Logf("%d messages to %d seats: %d not heard, %d results, %v", said, len(settled), lost, results, reasons)
				if lost > 0 && results == 0 && counted == 0 {
					t.Errorf("%d messages were lost, and nobody knows: %v", lost, slices.Sorted(maps.Keys(reasons)))
				}

				before := said
				for range 20 {
					say()
				}
				settle(3 * time.Second)
				for _, to := range settled {
					late := map[string]bool{}
					for _, m := range of[*engine.Message](to.client) {
						late[string(m.Content.Data)] = true
					}
					for from, texts := range sent {
						for _, msg := range texts {
							var n int
							if fmt.Sscanf(msg, "message %d", &n); n > before && from != to.ID() && !late[msg] {
								t.Errorf("%s did not hear %q, after all was calm", to.ID(), msg)
							}
						}
					}
				}
			})
		})
	}
}
