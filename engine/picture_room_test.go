package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Two servers with a seat each: what one of them knows of both.
func TestPictureOfARoom(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		net.Delay = 15 * time.Millisecond
		node, room := serve(t, net, "here", engine.RoomConfig{}, engine.Limits{})
		_, other := serve(t, net, "there", engine.RoomConfig{}, engine.Limits{})
		own, far := join(t, room, engine.SeatConfig{Resume: time.Minute}), join(t, other, engine.SeatConfig{})
		settle(time.Minute)
		own.send("chat", text("hello"))
		far.send("chat", text("hello there"))
		settle(time.Second)

		p, err := room.Picture()
		if err != nil {
			t.Fatal(err)
		}
		if p.AllPeers != 4 || p.AllSeats != 1 || p.AllLinks != 4 || p.Time.Sub(p.Opened) != 61*time.Second {
			t.Errorf("%+v", p)
		}
		var remote, servers int
		for _, peer := range p.Peers {
			if peer.Remote {
				remote++
			}
			if peer.Type == engine.TypeServer {
				servers++
			}
			if peer.Linked != 2 || peer.Cell != -1 || (peer.Seat != nil) != (peer.ID == own.ID()) {
				t.Errorf("%+v", peer)
			}
		}
		if remote != 2 || servers != 2 || p.Peers[0].Type != engine.TypeServer || p.Peers[0].Remote {
			t.Errorf("%+v", p.Peers)
		}
		if len(p.Links) != 4 || len(p.RoundTrips) < 4 {
			t.Fatalf("links %+v, round trips %v", p.Links, p.RoundTrips)
		}
		for _, l := range p.Links {
			if !l.Open || l.RoundTrip != 30*time.Millisecond || l.Age <= 0 || l.Silence > 15*time.Second || l.Waiting != 0 {
				t.Errorf("%+v", l)
			}
		}
		// The other server's seat says it to both of our hosted peers.
		if p.Traffic.Messages != 3 || p.Traffic.MessageBytes != uint64(len("hello")+2*len("hello there")) || p.Traffic.LinkIn == 0 || p.Traffic.LinkOut == 0 {
			t.Errorf("traffic %+v", p.Traffic)
		}
		if err := node.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := room.Picture(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("of a closed room: %v", err)
		}
	})
}

// In cells each peer has its place, and each cell its bridge and its edges.
func TestPictureOfCells(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		c := openCells(t, net, 3, 7, 4)
		settle(2 * time.Minute)
		p, err := c.rooms[0].Picture()
		if err != nil {
			t.Fatal(err)
		}
		peers, bridges := 0, 0
		for _, cell := range p.Cells {
			peers += cell.Peers
			for _, up := range cell.Up {
				if up <= cell.Cell || up >= p.Mesh.Cells {
					t.Errorf("cell %d has an edge up to %d", cell.Cell, up)
				}
			}
		}
		for _, peer := range p.Peers {
			if peer.Cell < 0 {
				t.Errorf("%s is in no cell", peer.ID)
			}
			if peer.Bridge {
				bridges++
			}
		}
		if p.Mesh.Cells != 6 || peers != 24 || bridges != p.Mesh.Known {
			t.Errorf("%d peers in %d cells with %d bridges: %+v", peers, p.Mesh.Cells, bridges, p.Mesh)
		}
	})
}
