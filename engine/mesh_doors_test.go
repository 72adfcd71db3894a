package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Seats that join after a seal, be they more than all peers in it, open no doors. What
// they say at once is heard by all, though nobody knows their places yet.
func TestSeatsThatJoinCells(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		room := openCells(t, net, 6, 1, 2)
		settle(40 * time.Second)
		before := make([]int, 6)
		sent := map[string][]string{}
		for i, r := range room.rooms {
			before[i] = r.Stats().Links
			for range 12 {
				room.clients = append(room.clients, &cellClient{join(t, r, engine.SeatConfig{}), i})
			}
		}
		settle(100 * time.Millisecond)
		for _, c := range room.clients {
			c.send("chat", text("just here"))
			sent[c.ID()] = []string{"just here"}
		}
		for range 9 {
			settle(100 * time.Millisecond)
			for i, r := range room.rooms {
				if n := r.Stats().Links; n > before[i] {
					t.Fatalf("%d links became %d before the seal", before[i], n)
				}
			}
		}
		room.expect(sent)
		settle(30 * time.Second)
		if state := room.clients[20].MeshState(); state.Peers != 6*14 {
			t.Errorf("after the seal: %+v", state)
		}
	})
}

// Offers of those who have no place wait for a seal, but not for long, and not all.
func TestOffersWithoutAPlace(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{Cells: engine.CellsOn, CellSize: 2}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{})
		for i := range 9 {
			openCellPage(t, net, fmt.Sprint("page", i))
		}
		settle(20 * time.Second)
		stranger := net.Endpoint("stranger")
		sig, err := stranger.Open(engine.AppRoom("demo"), "", func(engine.Signal) {})
		if err != nil {
			t.Fatal(err)
		}
		defer sig.Close()
		links := room.Stats().Links
		for i := range 600 {
			sig.Offer("", fmt.Sprint("stranger", i), seat.ID(), "", "an offer")
		}
		settle(time.Second)
		const reason = "offer: no place in the cells"
		if dropped := n.Stats().Dropped[reason]; dropped < 50 || dropped > 150 { // of those more than 512
			t.Errorf("%d offers were dropped at once", dropped)
		}
		settle(time.Minute)
		stats := n.Stats()
		if given := stats.Dropped[reason] + stats.Dropped["link: description refused"]; given < 590 {
			t.Errorf("%d offers are no more, of 600: %v", given, stats.Dropped)
		}
		if got := room.Stats().Links; got > links+10 {
			t.Errorf("%d links became %d", links, got)
		}
	})
}
