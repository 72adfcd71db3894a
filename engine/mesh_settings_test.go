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
			for range 40 {
				settle(500 * time.Millisecond)
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
