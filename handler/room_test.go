package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// A room tells of its cells, once the server has a place in them.
func TestRoomTellsOfCells(t *testing.T) {
	s := serve(t, Config{})
	tells := func(want string) bool {
		return strings.Contains(string(request(t, http.MethodGet, s.server.URL+"/genosrtc/rooms/demo", nil).body), want)
	}
	if tells("cells") {
		t.Error("it tells of some without having any")
	}
	s.room.SetCells(engine.CellsOn, 5)
	eventually(t, "it does not tell of them", func() bool {
		return tells(`"cells":{"totalPeers":1,"cellSize":5,"totalCells":1,"knownCells":1,"cellId":"cell-0","isBridge":false}`)
	})
}
