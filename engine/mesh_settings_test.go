package engine_test

import (
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// The size of cells changes while links exist: nothing said meanwhile is lost, and epochs
// go on.
func TestCellSizeChanges(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		room := openCells(t, net, 6, 2, 50)
		settle(40 * time.Second)
		epoch := room.clients[0].MeshState().Epoch
		sent := map[string][]string{}
		say := func(s string) {
			for _, c := range room.clients {
				c.send("chat", text(s))
				sent[c.ID()] = append(sent[c.ID()], s)
			}
		}
		for _, size := range []int{2, 3, 50} {
			for _, r := range room.rooms {
				r.SetCells(engine.CellsOn, size)
			}
			say("at once")
			if state := room.clients[0].MeshState(); state.Epoch < epoch {
				t.Errorf("epoch %d after %d", state.Epoch, epoch)
			}
			for range 10 {
				settle(2 * time.Second)
				say("on the way")
			}
			state := room.clients[0].MeshState()
			if state.Size != size || state.Cells != (18+size-1)/size || state.Epoch <= epoch {
				t.Errorf("size %d: %+v after epoch %d", size, state, epoch)
			}
			epoch = state.Epoch
		}
		settle(time.Second)
		heard := map[string]int{}
		for _, m := range of[*engine.Message](room.clients[0].client) {
			heard[m.From]++
		}
		for _, c := range room.clients[1:] {
			if heard[c.ID()] != len(sent[c.ID()]) {
				t.Errorf("heard %d messages of %d", heard[c.ID()], len(sent[c.ID()]))
			}
		}
	})
}

// Cells are turned off and on again while the room runs. Without them everybody hears
// everybody by a link, and no ping is left without its answer.
func TestCellsOffAndOn(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		room := openCells(t, net, 6, 1, 2)
		settle(40 * time.Second)
		from := room.clients[0]
		far := ""
		for _, c := range room.clients[1:] {
			if _, linked := from.peers()[c.ID()]; !linked {
				far = c.ID()
			}
		}
		set := func(mode engine.CellsMode) {
			for _, r := range room.rooms {
				r.SetCells(mode, 2)
			}
		}
		if err := from.Ping(t.Context(), 7, far); err != nil {
			t.Error(err)
		}
		set(engine.CellsOff)
		settle(30 * time.Second)
		if got := of[engine.Pong](from.client); len(got) != 1 || got[0].Ref != 7 {
			t.Errorf("pongs %v", got)
		}
		for _, c := range room.clients {
			if state := c.MeshState(); state.Epoch != 0 {
				t.Errorf("without cells: %+v", state)
			}
			if n := len(c.peers()); n != 11 {
				t.Errorf("without cells %s is linked with %d peers of 11", c.ID(), n)
			}
		}
		set(engine.CellsOn)
		settle(40 * time.Second)
		sent := map[string][]string{}
		for _, c := range room.clients {
			if state := c.MeshState(); state.Peers != 12 || state.Cells != 6 {
				t.Errorf("with cells again: %+v", state)
			}
			c.send("chat", text("again"))
			sent[c.ID()] = []string{"again"}
		}
		settle(2 * time.Second)
		room.expect(sent)
	})
}

// What was learned of pages before cells were turned off is learned again after.
func TestCellsAutoAfterOff(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{})
		openCellPage(t, net, "CCCC")
		settle(20 * time.Second)
		if state := seat.MeshState(); state.Epoch == 0 {
			t.Errorf("before: %+v", state)
		}
		room.SetCells(engine.CellsOff, 0)
		settle(10 * time.Second)
		if state := seat.MeshState(); state.Epoch != 0 {
			t.Errorf("off: %+v", state)
		}
		room.SetCells(engine.CellsAuto, 0)
		settle(20 * time.Second)
		if state := seat.MeshState(); state.Epoch == 0 {
			t.Errorf("auto again: %+v", state)
		}
	})
}
