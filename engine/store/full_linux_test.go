package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/internal/fulldisk"
)

// A disk without room is a reason to fail, and not to fail for good: all that was
// acknowledged is there, and so is what comes once there is room.
func TestFullDiskIsNotTheEnd(t *testing.T) {
	if fulldisk.Alone(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again := fulldisk.After(t, info.Size()+64<<10)
	kept, failed := uint64(0), 0
	for n := uint64(0); failed < 3; n++ {
		switch err := s.Put(seat("room", n, n)); {
		case err == nil:
			kept++
		case !errors.Is(err, ErrFull):
			t.Fatal(err)
		default:
			failed++
			n-- // once more
		}
		if n > 100_000 {
			t.Fatal("the limit was never reached")
		}
	}
	again()
	for n := kept; n < kept+100; n++ {
		if err := s.Put(seat("room", n, n)); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seats, err := open(t, path).Seats("room")
	if err != nil {
		t.Fatal(err)
	}
	if got := uint64(len(seats)); got != kept+100 {
		t.Errorf("%d seats, want %d", got, kept+100)
	}
}
