package client_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/client"
)

// startMemory starts a real server that keeps the graph of the room "demo".
func startMemory(t *testing.T) string {
	t.Helper()
	return start(t, genosrtc.Config{
		Storage: t.TempDir(), Rooms: []genosrtc.Room{{Name: "demo", Memory: true, AnonymousWrite: true}},
	})
}

// TestGraphOverCuts is the promise of the graph: over any cuts of both sides'
// connections all that was put is there, and a watch sees each node rise to its last
// value, and misses none.
func TestGraphOverCuts(t *testing.T) {
	fewer(t)
	url := startMemory(t)
	var cuts, runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.SliceOfN(rapid.IntRange(300, 6000), 0, 2)
		var all sync.WaitGroup
		for range pairs {
			a, b := &cutter{after: at.Draw(rt, "alice")}, &cutter{after: at.Draw(rt, "bob")}
			json := rapid.Bool().Draw(rt, "json")
			prefix := fmt.Sprintf("run-%d/", runs.Add(1))
			all.Go(func() {
				follow(t, url, prefix, a, b, json)
				cuts.Add(int64(a.cuts + b.cuts))
			})
		}
		all.Wait()
		if t.Failed() {
			rt.FailNow()
		}
	})
	t.Logf("%d cuts", cuts.Load())
}

// follow has one client write what another watches.
func follow(t *testing.T, url, prefix string, a, b *cutter, json bool) {
	const nodes, values = 8, 10
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bob, err := client.Dial(ctx, url, "demo", client.Options{HTTPClient: b.client(t), JSON: json})
	if err != nil {
		t.Error(err)
		return
	}
	defer bob.Close()
	alice, err := client.Dial(ctx, url, "demo", client.Options{HTTPClient: a.client(t)})
	if err != nil {
		t.Error(err)
		return
	}
	defer alice.Close()
	var writing sync.WaitGroup
	defer writing.Wait()
	watching, following := make(chan struct{}), false
	for n := range nodes {
		id := fmt.Sprint(prefix, n)
		writing.Go(func() {
			for v := range values {
				if made, err := alice.Graph().Put(ctx, id, v); err != nil || made.ID != id || made.Value != int64(v) {
					t.Errorf("put %d: %+v, %v", v, made, err)
					return
				}
			}
			if n == 0 {
				select { // who did not see the node does not hear of its end
				case <-watching:
				case <-ctx.Done():
					return
				}
				if err := alice.Graph().Remove(ctx, id); err != nil && err.(*client.GraphError).Code != "unknown_node" {
					t.Errorf("remove: %v", err)
				}
			}
		})
	}
	seen := map[string]int64{}
	last := uint64(0)
	for c, err := range bob.Graph().Watch(ctx, client.WatchOptions{Prefix: prefix, Whole: true}) {
		switch {
		case err != nil:
			t.Errorf("watch: %v; %v", err, seen)
			return
		case c.Seq < last:
			t.Errorf("%d came after %d", c.Seq, last)
		case c.Removed:
			seen[c.ID] = values
		case c.UpToDate:
			if !following {
				following = true
				close(watching)
			}
		default:
			if v := c.Value.(int64); v < seen[c.ID] {
				t.Errorf("%s was %d and is %d", c.ID, seen[c.ID], v)
			} else {
				seen[c.ID] = v
			}
		}
		last = c.Seq
		done := seen[prefix+"0"] == values
		for n := 1; n < nodes && done; n++ {
			done = seen[fmt.Sprint(prefix, n)] == values-1
		}
		if done {
			return
		}
	}
}
