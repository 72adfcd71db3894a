package engine_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Whoever comes, goes and speaks, in whatever order and however fast: in the end
// everybody knows who is there, was told each change once, and of each sender
// before he heard from him.
func TestPresenceIsWhole(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{HostedPerRoom: 1})
		here := map[string]*client{}
		var list []*client // as map order is not the seed's
		for range 400 {
			switch n := rnd.IntN(10); {
			case n < 5 || len(list) < 2:
				c := join(t, room, engine.SeatConfig{})
				here[c.ID()], list = c, append(list, c)
			case n < 7:
				i := rnd.IntN(len(list))
				list[i].Leave()
				delete(here, list[i].ID())
				list = append(list[:i:i], list[i+1:]...)
			case n < 8:
				list[rnd.IntN(len(list))].send("chat", text("to all"))
			case n < 9:
				list[rnd.IntN(len(list))].send("chat", text("to one"), list[rnd.IntN(len(list))].ID())
			default:
				settle(time.Duration(rnd.IntN(5)) * time.Millisecond)
			}
		}
		settle(time.Second)
		for _, c := range list {
			peers := c.peers() // fails where somebody joined twice
			if len(peers) != len(list) {
				t.Errorf("%s knows %d peers, want the server and %d others", c.ID(), len(peers), len(list)-1)
			}
			for id := range here {
				if _, known := peers[id]; !known && id != c.ID() {
					t.Errorf("%s does not know %s", c.ID(), id)
				}
			}
			known := map[string]bool{}
			for _, p := range c.welcome {
				known[p.ID] = true
			}
			for _, e := range c.all() {
				switch e := e.(type) {
				case engine.PeerEvent:
					known[e.Peer.ID] = e.Change == engine.PeerJoin
				case *engine.Message:
					if !known[e.From] {
						t.Errorf("%s heard from %s, who was not there", c.ID(), e.From)
					}
				}
			}
		}
	})
}

// One who comes is told of at once; many who come together, together.
func TestPresenceOfManyIsToldTogether(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{HostedPerRoom: 1})
		first, _, err := room.Join(t.Context(), engine.SeatConfig{})
		if err != nil {
			t.Fatal(err)
		}
		hear := func() (joins int, after time.Duration) {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			events, err := first.Next(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			return len(events), time.Since(begin)
		}
		for range 5 {
			settle(time.Second)
			join(t, room, engine.SeatConfig{})
			if n, after := hear(); n != 1 || after != 0 {
				t.Errorf("%d joins were told after %v, want one at once", n, after)
			}
		}
		settle(time.Second)
		join(t, room, engine.SeatConfig{})
		hear()
		const many = 300
		for range many {
			join(t, room, engine.SeatConfig{})
		}
		joins, rounds := 0, 0
		for joins < many {
			n, after := hear()
			joins, rounds = joins+n, rounds+1
			if after > many*presenceGap {
				t.Errorf("the next joins were told after %v", after)
			}
		}
		if rounds > 5 {
			t.Errorf("%d joins were told in %d rounds", many, rounds)
		}
		first.Leave()
	})
}

const presenceGap = 50 * time.Microsecond // for each seat
