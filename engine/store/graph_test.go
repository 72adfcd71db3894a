package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

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
