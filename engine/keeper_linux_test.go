package engine_test

import (
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// alone is the variable of a process that has a test to itself.
const alone = "GENOSRTC_ENGINE_ALONE"

// Seats that the store had no room for are in it soon after there is room.
func TestSeatsAreKeptOnceThereIsRoom(t *testing.T) {
	// The limit that stands for the disk is for all files of the process.
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
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

	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit(syscall.Rlimit{Cur: uint64(info.Size()), Max: before.Max})
	taken := 1
	for ; stored() == taken; taken++ {
		take()
	}
	limit(before)
	for deadline := time.Now().Add(20 * time.Second); stored() != taken; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d seats are in the store, want %d", stored(), taken)
		}
	}
}
