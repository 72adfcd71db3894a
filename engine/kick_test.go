package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// A remote peer that is kicked loses its links, and gets none for a while.
func TestKickedPageIsKeptOut(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		alive(t, p, c, "before")
		states := room.RemoteStates()
		if len(states) != 1 || states[0].ID != "AAAA" || len(states[0].Links) != 2 || !states[0].Links[0].Open {
			t.Errorf("the page is known as %+v", states)
		}
		if err := room.Kick("nobody", time.Hour); !errors.Is(err, engine.ErrUnknownPeer) {
			t.Errorf("somebody unknown: %v", err)
		}
		if err := room.Kick("AAAA", 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		settle(4 * time.Minute)
		if s := n.Stats(); s.Links != 0 || s.Dropped["signal: of a peer that was kicked"] == 0 || c.leaves("AAAA") != 1 {
			t.Errorf("while it is kept out: %+v", s)
		}
		settle(5 * time.Minute)
		alive(t, p, c, "afterwards")
	})
}

// A seat that is kicked is gone.
func TestKickedSeatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		if states := room.SeatStates(); len(states) != 1 || states[0].Peer != c.ID() || !states[0].Attached {
			t.Errorf("seats %+v", states)
		}
		if err := room.Kick(c.ID(), 0); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if states := room.SeatStates(); len(states) != 0 {
			t.Errorf("after the kick: %+v", states)
		}
		if err := room.Kick(c.ID(), 0); !errors.Is(err, engine.ErrUnknownPeer) {
			t.Errorf("kicked again: %v", err)
		}
	})
}
