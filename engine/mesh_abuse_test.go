package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// lie says what it likes.
func (p *cellPage) lie(f cells.Frame) {
	p.seq++
	if f.ID == "" {
		f.ID = fmt.Sprint(p.id, " ", p.seq)
	}
	p.send("c0", engine.Content{Kind: engine.Text, Data: f.Append(nil)})
}

// A pong to somebody without a link goes to everybody: there are not as many as asked for.
func TestMeshPingsOfAStranger(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{Cells: engine.CellsOn, CellSize: 50}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{})
		for _, id := range []string{"AAAA", "BBBB", "CCCC"} {
			openCellPage(t, net, id)
		}
		liar := openCellPage(t, net, "LIAR")
		settle(20 * time.Second)
		before := n.Stats().FramesOut
		for i := range 1000 {
			liar.lie(cells.Frame{Kind: cells.KindPing, TTL: 5, Origin: "nobody", OriginCell: -1, Data: cells.AppendPing(nil, cells.Ping{ID: fmt.Sprint(i), Target: seat.ID()})})
		}
		settle(time.Second)
		stats := n.Stats()
		if sent := stats.FramesOut - before; sent == 0 || sent > 400 {
			t.Errorf("1000 pings made us send %d frames", sent)
		}
		if dropped := stats.Dropped["mesh: too many pings by way of others"]; dropped < 900 {
			t.Errorf("%d pings were dropped", dropped)
		}
	})
}

// Who claims to be one of ours is not believed.
func TestMeshClaims(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{Cells: engine.CellsOn, CellSize: 50}, engine.Limits{})
		seats := []*client{join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})}
		liar := openCellPage(t, net, "LIAR")
		settle(20 * time.Second)
		for _, id := range []string{seats[0].ID(), serverID(seats[0])} {
			liar.lie(cells.Frame{Kind: cells.KindMsg, TTL: 5, Origin: id, OriginCell: -1, Data: []byte(`"not me"`)})
		}
		settle(time.Second)
		if n := len(of[*engine.Message](seats[1])); n != 0 {
			t.Error("who claimed to be a seat was heard")
		}
		if n := n.Stats().Dropped["mesh: claims a hosted peer"]; n != 2 {
			t.Errorf("%d claims were counted", n)
		}
	})
}

// The size of cells is learned from what peers say of themselves: in nearly all rooms, as
// places are left to chance, and some hear too few.
func TestCellSizeIsLearned(t *testing.T) {
	learned := 0
	for range 5 {
		bubble(t, func(t *testing.T, net *memnet.Network) {
			room := openCells(t, net, 6, 2, 3)
			room.add(8, 0)
			settle(40 * time.Second)
			for range 5 {
				for _, c := range room.clients {
					c.send("chat", text("hello"))
				}
				settle(10 * time.Second)
			}
			learner := room.clients[len(room.clients)-1]
			if learner.MeshState().Cells == room.clients[0].MeshState().Cells {
				learned++
			}
		})
	}
	if learned < 3 {
		t.Errorf("learned in %d rooms of 5", learned)
	}
}

// A long list of recipients that names the same ones again and again is one list.
func TestMeshRecipientsTwice(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Cells: engine.CellsOn, CellSize: 50}, engine.Limits{})
		a, b := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{Identity: engine.IdentityServer})
		page := openCellPage(t, net, "AAAA")
		settle(20 * time.Second)
		var to []string
		for range 5000 {
			to = append(to, a.ID(), b.ID(), serverID(a), "nobody")
		}
		page.say(cells.KindMsg, cells.AppendMessage(nil, cells.Message{Channel: "chat", Data: []byte(`"x"`), To: to}))
		settle(time.Second)
		if n := len(of[*engine.Message](a)); n != 1 {
			t.Errorf("a seat heard it %d times", n)
		}
		if n := len(of[*engine.Message](b)); n != 2 { // as itself, and as the server's peer
			t.Errorf("a seat of the server's peer heard it %d times", n)
		}
	})
}

// What is for peers that are only said to be there waits for a while, and then its sender
// is told.
func TestMeshWaitsForPhantoms(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Cells: engine.CellsOn, CellSize: 50}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{})
		phantom := net.Endpoint("phantom")
		sig, err := phantom.Open(engine.AppRoom("demo"), "", func(engine.Signal) {})
		if err != nil {
			t.Fatal(err)
		}
		defer sig.Close()
		for range 8 {
			sig.Announce("PHANTOM", "")
			settle(2500 * time.Millisecond)
		}
		big := text(strings.Repeat("0123456789", 100_000))
		for i := range 3 {
			if err := seat.Send(t.Context(), engine.Outgoing{Ref: uint64(i + 1), Channel: "chat", Content: big}); err != nil {
				t.Error(err)
			}
		}
		settle(time.Second)
		if got := of[engine.Result](seat); len(got) != 0 {
			t.Errorf("at once: %v", got)
		}
		settle(time.Minute)
		got := of[engine.Result](seat)
		if len(got) != 3 {
			t.Fatalf("results %v", got)
		}
		for i, r := range got {
			if r != (engine.Result{Ref: uint64(i + 1), Peer: "PHANTOM", Err: engine.ErrPeerGone}) {
				t.Errorf("result %v", r)
			}
		}
	})
}
