package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

func openGraph(t testing.TB, path string) *Graph {
	t.Helper()
	g, err := OpenGraph(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func node(id string, size int, at int64) graph.Entry {
	value := fmt.Appendf(nil, `{"at":%d,"text":"%0*d"}`, at, max(1, size-len(`{"at":,"text":""}`)), at)
	return graph.Entry{ID: id, Value: value, Timestamp: graph.Timestamp{Physical: at, Logical: uint64(at % 7)}}
}

// set stages and waits for the disk.
func set(t testing.TB, g *Graph, entries ...graph.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := g.Set(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Wait(t.Context(), g.Staged()); err != nil {
		t.Fatal(err)
	}
}

func scan(t interface{ Fatal(...any) }, g *Graph) map[string]graph.Entry {
	all := map[string]graph.Entry{}
	last := ""
	if err := g.Scan("", func(e graph.Entry) bool {
		if e.ID <= last {
			t.Fatal("out of order")
		}
		last = e.ID
		all[e.ID] = e
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

var anyEntry = rapid.Custom(func(t *rapid.T) graph.Entry {
	e := graph.Entry{
		ID:        rapid.SampledFrom([]string{"a", "b", "ab", "ä", "\x00", "a\x00", "z"}).Draw(t, "id"),
		Removed:   rapid.Bool().Draw(t, "removed"),
		Live:      rapid.Bool().Draw(t, "live"),
		Timestamp: graph.Timestamp{Physical: rapid.Int64().Draw(t, "physical"), Logical: rapid.Uint64().Draw(t, "logical")},
	}
	if rapid.Bool().Draw(t, "extra") {
		e.Extra = json.RawMessage(`{"sig":"x"}`)
	}
	if !e.Removed {
		e.Value, _ = json.Marshal(rapid.String().Draw(t, "value"))
		if edges := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "edges"); len(edges) > 0 {
			e.Edges = edges
		}
	}
	return e
})

func equal(a, b graph.Entry) bool {
	return a.ID == b.ID && a.Removed == b.Removed && a.Live == b.Live && a.Timestamp == b.Timestamp && a.Seq == b.Seq &&
		string(a.Value) == string(b.Value) && string(a.Extra) == string(b.Extra) && slices.Equal(a.Edges, b.Edges)
}

// TestAnyGraphHistory compares a graph with a map, over random histories.
func TestAnyGraphHistory(t *testing.T) {
	base, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(base, fmt.Sprint(n), "graph.db")
		var g *Graph
		open := func() {
			var err error
			if g, err = OpenGraph(path, quiet); err != nil {
				t.Fatal(err)
			}
			g.db.NoSync = true // what fsync adds is not seen here
		}
		open()
		defer func() { g.Close() }()
		model := map[string]graph.Entry{}
		last := graph.Timestamp{}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				e := anyEntry.Draw(t, "entry")
				before := g.Staged()
				if err := g.Set(e); err != nil {
					t.Fatal(err)
				}
				if e.Seq = g.Staged(); e.Seq <= before {
					t.Fatalf("Seq %d after %d", e.Seq, before)
				}
				model[e.ID] = e
			},
			"clock": func(t *rapid.T) {
				last.Physical++
				g.SetLast(last)
			},
			"reopen": func(t *rapid.T) {
				staged := g.Staged()
				if err := g.Close(); err != nil {
					t.Fatal(err)
				}
				open()
				if g.Head() != staged || g.Staged() != staged {
					t.Fatalf("Seq %d, then %d", staged, g.Head())
				}
			},
			"wait": func(t *rapid.T) {
				if err := g.Wait(t.Context(), g.Staged()); err != nil {
					t.Fatal(err)
				}
				if got := scan(t, g); !maps.EqualFunc(got, model, equal) {
					t.Fatalf("%v, want %v", got, model)
				}
				stats := g.Stats()
				if stats.Nodes+stats.Removals != uint64(len(model)) || stats.Staged != 0 {
					t.Fatalf("%+v of %d", stats, len(model))
				}
				for id, want := range model {
					if e, ok, err := g.Committed(id); err != nil || !ok || !equal(e, want) {
						t.Fatalf("committed %v %v %v", e, ok, err)
					}
				}
				after := uint64(0)
				if i := rapid.IntRange(0, len(model)).Draw(t, "after"); i > 0 {
					after = slices.Collect(maps.Values(model))[i-1].Seq
				}
				want := 0
				for _, e := range model {
					if e.Seq > after {
						want++
					}
				}
				for want > 0 {
					changes, err := g.Changes(t.Context(), after, 2)
					if err != nil || len(changes) == 0 || len(changes) > min(2, want) {
						t.Fatalf("%d changes of %d: %v", len(changes), want, err)
					}
					for _, e := range changes {
						if e.Seq <= after || !equal(e, model[e.ID]) {
							t.Fatalf("after %d: %v, want %v", after, e, model[e.ID])
						}
						after = e.Seq
					}
					want -= len(changes)
				}
			},
			"": func(t *rapid.T) {
				for id, want := range model {
					if e, ok, err := g.Entry(id); err != nil || !ok || !equal(e, want) {
						t.Fatalf("entry %v %v %v, want %v", e, ok, err, want)
					}
				}
				if g.Last() != last {
					t.Fatalf("clock %v, want %v", g.Last(), last)
				}
			},
		})
	})
}

// Who follows the changes gets the last state of every id, while others write, and
// after a restart from where it was.
func TestChangesMissNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "graph.db")
	g := openGraph(t, path)
	after := uint64(0)
	seen := map[string]graph.Entry{}
	for round := range 3 {
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := range 12_000 { // more than the ring has
				if err := g.Set(node(nodeID(rand.IntN(3000)), 50, int64(round*100_000+i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		follow := func() {
			changes, err := g.Changes(t.Context(), after, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range changes {
				if e.Seq <= after {
					t.Fatalf("Seq %d after %d", e.Seq, after)
				}
				after = e.Seq
				seen[e.ID] = e
			}
		}
		for range 20 {
			follow()
		}
		writer.Wait()
		set(t, g)
		if round == 1 {
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			g = openGraph(t, path)
		}
		for after < g.Head() {
			follow()
		}
		if want := scan(t, g); !maps.EqualFunc(seen, want, equal) {
			t.Fatalf("round %d: %d entries, want %d", round, len(seen), len(want))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := g.Changes(ctx, after, 100); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	closed := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { g.Close(); close(closed) })
	if _, err := g.Changes(t.Context(), after, 100); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	<-closed
	if err := g.Set(node("a", 1, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, _, err := g.Committed("a"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := g.Wait(t.Context(), after+1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The ring is bounded in number and bytes.
func TestRingIsBounded(t *testing.T) {
	for size, changes := range map[int]uint64{50: ringChanges + 3000, 5000: 3000} {
		r := ring{}
		for seq := range changes {
			e := graph.Entry{ID: nodeID(int(seq % 11_000)), Value: make([]byte, size), Seq: seq + 1}
			r.add(map[string][]byte{e.ID: encodeEntry(e)})
		}
		if len(r.changes) > ringChanges || r.bytes > ringBytes || len(r.latest) != len(r.changes) || r.floor != r.changes[0].seq-1 {
			t.Errorf("%d changes, %d bytes, %d ids, floor %d", len(r.changes), r.bytes, len(r.latest), r.floor)
		}
	}
}

// The oldest removals are forgotten, and nothing else.
func TestRemovalsAreForgotten(t *testing.T) {
	g := openGraph(t, filepath.Join(t.TempDir(), "graph.db"))
	const keep, removals = 5000, 6000
	g.keep = keep
	set(t, g, node("stays", 100, 1))
	for i := range removals {
		if err := g.Set(graph.Entry{ID: nodeID(i), Removed: true, Timestamp: graph.Timestamp{Physical: int64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	set(t, g)
	set(t, g, node(nodeID(0), 100, 1)) // one that is about to be forgotten comes back
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		g.mu.Lock()
		left, busy := g.disk.removals, g.sweeping
		g.mu.Unlock()
		if left <= keep && !busy {
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d removals are left", left)
		}
	}
	entries := scan(t, g)
	if s := g.Stats(); s.Nodes != 2 || s.Nodes+s.Removals != uint64(len(entries)) {
		t.Errorf("%+v of %d", s, len(entries))
	}
	for i := removals - keep*9/10; i < removals; i++ {
		if e := entries[nodeID(i)]; !e.Removed {
			t.Fatalf("removal %d was forgotten", i)
		}
	}
}

func TestGraphIsBounded(t *testing.T) {
	g := openGraph(t, filepath.Join(t.TempDir(), "graph.db"))
	g.SetBounds(10_000)
	n := 0
	for ; n < 100; n++ {
		if err := g.Set(node(fmt.Sprint(n), 200, 1)); err != nil {
			if !errors.Is(err, ErrGraphFull) {
				t.Fatal(err)
			}
			break
		}
	}
	set(t, g)
	if s := g.Stats(); s.Nodes != uint64(n) || s.Bytes > 10_000 || s.Bytes < 9_700 {
		t.Errorf("%+v", s)
	}
	set(t, g, node("1", 500, 2)) // changes are taken
	if err := g.Set(node("more", 200, 2)); !errors.Is(err, ErrGraphFull) {
		t.Error(err)
	}
	for i := range 3 { // and so are removals, which make room
		set(t, g, graph.Entry{ID: fmt.Sprint(i), Removed: true})
	}
	set(t, g, node("more", 200, 2))
	for i := range 3 { // not beyond the bound again, be it on the place of a removal
		if err := g.Set(node(fmt.Sprint(i), 5000, 3)); !errors.Is(err, ErrGraphFull) {
			t.Error(err)
		}
	}
}

// Neither changes nor removals let a graph grow without end.
func TestGraphIsBoundedForChanges(t *testing.T) {
	g := openGraph(t, filepath.Join(t.TempDir(), "graph.db"))
	set(t, g, node("a", 100, 1), node("b", 100, 1))
	g.SetBounds(10_000)
	large := graph.Entry{ID: "c", Removed: true, Extra: []byte(`{"x":"` + strings.Repeat("x", 9_000) + `"}`)}
	set(t, g, node("a", 10_000, 2), large) // together less than twice the bound
	for _, e := range []graph.Entry{node("b", 2_000, 2), node("a", 12_000, 2), {ID: "d", Removed: true, Extra: large.Extra}} {
		if err := g.Set(e); !errors.Is(err, ErrGraphFull) {
			t.Errorf("%s: %v", e.ID, err)
		}
	}
	set(t, g, node("a", 100, 3), graph.Entry{ID: "b", Removed: true}) // what makes room is taken
}
