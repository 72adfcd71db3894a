package handler

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// A room tells of its cells, once the server has a place in them.
func TestRoomTellsOfCells(t *testing.T) {
	s := serve(t, Config{})
	url := s.server.URL + "/genosrtc/rooms/demo"
	if body := string(request(t, http.MethodGet, url, nil).body); strings.Contains(body, "cells") {
		t.Errorf("without cells: %s", body)
	}
	room, _ := s.node.Room("demo")
	room.SetCells(engine.CellsOn, 5)
	want := `"cells":{"totalPeers":1,"cellSize":5,"totalCells":1,"knownCells":1,"cellId":"cell-0","isBridge":false}`
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		body := string(request(t, http.MethodGet, url, nil).body)
		if strings.Contains(body, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got %s, want %s", body, want)
		}
	}
}
