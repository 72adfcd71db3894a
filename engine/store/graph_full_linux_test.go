package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/internal/fulldisk"
)

// On a disk without room a graph tells who waits, keeps what is staged up to a bound,
// and writes it once there is room.
func TestFullDiskKeepsWhatIsStaged(t *testing.T) {
	if fulldisk.Alone(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "graph.db")
	g := openGraph(t, path)
	fill(t, g, 1000, 300)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again := fulldisk.After(t, info.Size())
	n := 1000
	put := func() error {
		err := g.Set(node(nodeID(n), 10_000, int64(n)))
		if err == nil {
			n++
		}
		return err
	}
	for err = put(); err == nil; err = put() {
	}
	if !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if staged := g.Stats().Staged; staged > maxStaged || staged < maxStaged-11_000 {
		t.Errorf("%d bytes are staged", staged)
	}
	if err := g.Wait(t.Context(), g.Staged()); !errors.Is(err, ErrFull) {
		t.Errorf("who waits is told %v", err)
	}
	for i := range n {
		e, ok, err := g.Entry(nodeID(i))
		if err != nil || !ok || e.Timestamp.Physical != int64(i) {
			t.Fatalf("node %d of %d: %v %v %v", i, n, e.Timestamp, ok, err)
		}
	}
	again()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for err = ErrFull; errors.Is(err, ErrFull) && ctx.Err() == nil; { // until it is tried again
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if err = g.Wait(ctx, g.Staged()); err != nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	if err != nil {
		t.Fatalf("with room again: %v", err)
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(scan(t, openGraph(t, path))); got != n {
		t.Errorf("%d nodes, want %d", got, n)
	}
}

// Closing says what the disk had no room for.
func TestFullDiskAtClose(t *testing.T) {
	if fulldisk.Alone(t) {
		return
	}
	path := filepath.Join(t.TempDir(), "graph.db")
	g := openGraph(t, path)
	fill(t, g, 100, 300)
	again := fulldisk.After(t, 0)
	if err := g.Set(node("lost", 300, 1)); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	again()
	if got := len(scan(t, openGraph(t, path))); got != 100 {
		t.Errorf("%d nodes, want 100", got)
	}
}
