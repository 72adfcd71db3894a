package store

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// alone is the variable of the process that has the test to itself.
const alone = "GENOSRTC_STORE_ALONE"

// A disk without room is a reason to fail, and not to fail for good: all that was
// acknowledged is there, and so is what comes once there is room.
func TestFullDiskIsNotTheEnd(t *testing.T) {
	// In a process of its own: the limit that stands for the disk is for all its files.
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
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
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	defer func() { limit(before) }()
	limit(syscall.Rlimit{Cur: uint64(info.Size()) + 64<<10, Max: before.Max})

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
	limit(before)
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
