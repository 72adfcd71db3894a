package engine_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
	"github.com/genosrtc/caddy-genosrtc/internal/fulldisk"
)

// Seats that the store had no room for are in it soon after there is room.
func TestSeatsAreKeptOnceThereIsRoom(t *testing.T) {
	if fulldisk.Alone(t) {
		return
	}
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	path := filepath.Join(dir, "store.db")
	kept, err := store.Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	e := memnet.New().Endpoint("server")
	n := engine.New(engine.Config{Signaling: e, Transport: e, Logger: quiet, Dir: filepath.Join(dir, "rooms"), Store: kept})
	defer n.Close(t.Context())
	room, err := n.Open(engine.RoomConfig{Name: "demo", Identity: engine.IdentityServer})
	if err != nil {
		t.Fatal(err)
	}
	take := func() {
		t.Helper()
		if _, _, err := room.Join(t.Context(), engine.SeatConfig{Resume: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	stored := func() int {
		t.Helper()
		seats, err := kept.Seats("demo")
		if err != nil {
			t.Fatal(err)
		}
		return len(seats)
	}
	take()

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again := fulldisk.After(t, info.Size())
	taken := 1
	for ; stored() == taken; taken++ {
		take()
	}
	again()
	for deadline := time.Now().Add(20 * time.Second); stored() != taken; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d seats are in the store, want %d", stored(), taken)
		}
	}
}
