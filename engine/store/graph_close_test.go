package store

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

// Who still has a graph while it is closed is told so, and nothing worse.
func TestGraphIsReadWhileItIsClosed(t *testing.T) {
	g := openGraph(t, filepath.Join(t.TempDir(), "graph.db"))
	set(t, g, node("a", 10, 1))
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				g.Stats()
				if _, _, err := g.Committed("a"); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	readers.Wait()
}
