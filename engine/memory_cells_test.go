package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// memoryServer is a server with memory in the room demo, whose peers form cells.
type memoryServer struct {
	*engine.Memory
	node *engine.Node
	stop func()
}

func rememberInCells(t *testing.T, net *memnet.Network, load, dir string, size int) *memoryServer {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "genosrtc.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e := net.Endpoint(load)
	n := engine.New(engine.Config{Signaling: e, Transport: e, Dir: dir, Store: s, Logger: slog.New(slog.DiscardHandler)})
	r, err := n.Open(engine.RoomConfig{Name: "demo", Memory: true, Cells: engine.CellsOn, CellSize: size})
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop := func() {
		once.Do(func() {
			if err := errors.Join(n.Close(context.Background()), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return &memoryServer{r.Memory(), n, stop}
}

// openMemories opens servers with the folders.
func openMemories(t *testing.T, net *memnet.Network, load string, dirs []string) (servers []*memoryServer) {
	for i, dir := range dirs {
		servers = append(servers, rememberInCells(t, net, fmt.Sprint(load, i), dir, 2))
	}
	return servers
}

func folders(t *testing.T, n int) (dirs []string) {
	for range n {
		dirs = append(dirs, t.TempDir())
	}
	return dirs
}

func linkedWithAll(servers []*memoryServer) bool {
	links := 0
	for _, s := range servers {
		links += s.Stats().Peers
	}
	return links == len(servers)*(len(servers)-1)
}

// What is changed on one of the servers in cells is changed on all, and one that comes
// later gets it.
func TestMemoryInCells(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		servers := openMemories(t, net, "s", folders(t, 6))
		settle(40 * time.Second)
		for linkedWithAll(servers) { // then their ids made few cells of them
			servers = append(servers, openMemories(t, net, fmt.Sprint("more", len(servers)), folders(t, 1))...)
			settle(40 * time.Second)
		}
		want := map[string]string{}
		for i, s := range servers {
			put(t, s.Memory, fmt.Sprint("n", i), fmt.Sprint(i), engine.Change{})
			want[fmt.Sprint("n", i)] = fmt.Sprint(i)
			settle(100 * time.Millisecond)
		}
		if _, err := servers[2].Link(t.Context(), "n0", "n5", engine.Change{}); err != nil {
			t.Error(err)
		}
		if _, err := servers[4].Remove(t.Context(), "n3", engine.Change{}); err != nil {
			t.Error(err)
		}
		delete(want, "n3")
		settle(time.Second)
		all := func() {
			t.Helper()
			for _, s := range servers {
				memoryHas(t, s.Memory, want)
				if e, err := s.Get("n0"); err != nil || !slices.Equal(e.Edges, []string{"n5"}) {
					t.Errorf("edges: %v, %v", e.Edges, err)
				}
			}
		}
		all()
		servers = append(servers, openMemories(t, net, "late", folders(t, 2))...)
		settle(40 * time.Second)
		all()
	})
}

// Servers that have different data converge when they meet.
func TestMemoriesInCellsConverge(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dirs := folders(t, 6)
		for half, halves := range [][]string{dirs[:3], dirs[3:]} {
			apart := memnet.New()
			servers := openMemories(t, apart, fmt.Sprint("half", half), halves)
			settle(20 * time.Second)
			for i, s := range servers {
				put(t, s.Memory, fmt.Sprint("of half ", half, i), "1", engine.Change{})
				put(t, s.Memory, "both", fmt.Sprint(half), engine.Change{})
				settle(time.Second)
			}
			for _, s := range servers {
				s.stop()
			}
			settle(time.Second)
		}
		servers := openMemories(t, net, "together", dirs)
		settle(time.Minute)
		want := map[string]string{"both": "1"}
		for half := range 2 {
			for i := range 3 {
				want[fmt.Sprint("of half ", half, i)] = "1"
			}
		}
		for _, s := range servers {
			memoryHas(t, s.Memory, want)
		}
	})
}
