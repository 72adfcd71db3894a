package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// remembering opens a node that keeps the graph of the room demo in a folder, until
// stop is called.
func remembering(t *testing.T, net *memnet.Network, load, dir string) (m *engine.Memory, stop func()) {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "genosrtc.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e := net.Endpoint(load)
	n := engine.New(engine.Config{Signaling: e, Transport: e, Dir: dir, Store: s, Logger: slog.New(slog.DiscardHandler)})
	r, err := n.Open(engine.RoomConfig{Name: "demo", Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := errors.Join(n.Close(context.Background()), s.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return r.Memory(), stop
}

// memoryHas checks the nodes that a memory has on the disk.
func memoryHas(t *testing.T, m *engine.Memory, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	err := m.Scan(t.Context(), "", func(e graph.Entry) bool {
		got[e.ID] = string(e.Value)
		return true
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("the memory has %d nodes, want %d: %.300v, want %.300v: %v", len(got), len(want), got, want, err)
	}
}

func put(t *testing.T, m *engine.Memory, id, value string, c engine.Change) graph.Entry {
	t.Helper()
	e, err := m.Put(t.Context(), id, json.RawMessage(value), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What pages wrote is there for pages that come when they and the process are gone.
func TestMemoryOutlivesPagesAndProcess(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		_, stop := remembering(t, net, "first", dir)
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		b := openGraphPage(t, net, "b", "BBBB", newPageGraph())
		settle(3 * time.Second)
		a.put("x", `{"n":1}`)
		b.put("y", `{"n":2}`)
		settle(time.Second)
		a.put("z", `3`)
		settle(time.Second)
		a.link("x", "y")
		b.remove("z")
		settle(time.Second)
		a.leave()
		b.leave()
		stop()

		m, _ := remembering(t, net, "second", dir)
		c := openGraphPage(t, net, "c", "CCCC", newPageGraph())
		settle(3 * time.Second)
		want := map[string]string{"x": `{"n":1}`, "y": `{"n":2}`}
		c.has(want)
		memoryHas(t, m, want)
		if got := c.edges("x"); !slices.Equal(got, []string{"y"}) {
			t.Errorf("edges of x: %v", got)
		}
		// A page that was away puts nothing back.
		old := newPageGraph()
		old.entries["z"] = graph.Entry{ID: "z", Value: json.RawMessage("3"), Timestamp: graph.Timestamp{Physical: 1, Logical: 1}}
		d := openGraphPage(t, net, "d", "DDDD", old)
		settle(5 * time.Second)
		stale := graph.Op{Kind: graph.Upsert, ID: "z", Value: json.RawMessage("3"), Timestamp: graph.Timestamp{Physical: 1, Logical: 2}}
		d.tell(graph.Encode(stale))
		settle(5 * time.Second)
		c.has(want)
		d.has(want)
		memoryHas(t, m, want)
	})
}

// What is written by the API is told to pages at once, and what they write can be
// read, and watched.
func TestMemoryIsOneOfThePeers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		settle(3 * time.Second)
		head := m.Head()

		first := put(t, m, "sensor", `{"t":20}`, engine.Change{})
		settle(100 * time.Millisecond)
		a.has(map[string]string{"sensor": `{"t":20}`})
		a.put("page", `1`)
		settle(time.Second)
		a.link("page", "sensor")
		settle(time.Second)

		if e, err := m.Get("page"); err != nil || string(e.Value) != "1" || !slices.Equal(e.Edges, []string{"sensor"}) {
			t.Errorf("the page's node: %+v, %v", e, err)
		}
		if _, err := m.Put(t.Context(), "sensor", json.RawMessage("0"), engine.Change{Absent: true}); !errors.Is(err, engine.ErrChanged) {
			t.Errorf("put of what must be absent: %v", err)
		}
		if _, err := m.Put(t.Context(), "sensor", json.RawMessage("0"), engine.Change{Timestamp: &graph.Timestamp{Physical: 1}}); !errors.Is(err, engine.ErrChanged) {
			t.Errorf("put of what has changed: %v", err)
		}
		second := put(t, m, "sensor", `{"t":21}`, engine.Change{Timestamp: &first.Timestamp})
		if !second.Timestamp.After(first.Timestamp) {
			t.Errorf("%v after %v", second.Timestamp, first.Timestamp)
		}
		e, err := m.Patch(t.Context(), "sensor", json.RawMessage(`{"unit":"C"}`), engine.Change{})
		if err != nil || string(e.Value) != `{"t":21,"unit":"C"}` {
			t.Errorf("patched: %s, %v", e.Value, err)
		}
		if _, err := m.Link(t.Context(), "sensor", "nobody", engine.Change{}); !errors.Is(err, engine.ErrNoNode) {
			t.Errorf("link to nothing: %v", err)
		}
		if e, err := m.Link(t.Context(), "sensor", "page", engine.Change{}); err != nil || !slices.Equal(e.Edges, []string{"page"}) {
			t.Errorf("link: %+v, %v", e, err)
		}
		if _, err := m.Remove(t.Context(), "page", engine.Change{}); err != nil {
			t.Error(err)
		}
		if _, err := m.Remove(t.Context(), "page", engine.Change{}); !errors.Is(err, engine.ErrNoNode) {
			t.Errorf("removed twice: %v", err)
		}
		settle(100 * time.Millisecond)
		a.has(map[string]string{"sensor": `{"t":21,"unit":"C"}`})
		if e, err := m.Get("sensor"); err != nil || len(e.Edges) > 0 {
			t.Errorf("an edge to what is gone is served: %+v, %v", e, err)
		}

		a.unsigned()

		changes, err := m.Changes(t.Context(), head)
		if err != nil || len(changes) != 2 || changes[0].ID != "sensor" || changes[1].ID != "page" || !changes[1].Removed {
			t.Errorf("changes: %+v, %v", changes, err)
		}
		for _, id := range []string{"", strings.Repeat("x", 1025), "\xff"} {
			if _, err := m.Put(t.Context(), id, json.RawMessage("1"), engine.Change{}); !errors.Is(err, engine.ErrNodeID) {
				t.Errorf("id %.10q: %v", id, err)
			}
		}
	})
}

// large fills the graph of the room demo in a folder with 6,000 nodes, which no message
// can hold, and five edges of one.
func large(t *testing.T, dir string) (want map[string]string) {
	t.Helper()
	file, err := store.OpenGraph(filepath.Join(dir, "rooms", "demo", "graph.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{}
	replica := graph.NewReplica(file, graph.Timestamp{})
	noise := uint64(1)
	for n := range 6_000 {
		id := fmt.Sprintf("node-%05d", (n*7919)%6000)
		var text strings.Builder
		for text.Len() < 500 {
			noise = noise*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&text, "%x", noise)
		}
		want[id] = fmt.Sprintf(`{"text":%q}`, text.String())
		if _, err := replica.Put(id, json.RawMessage(want[id]), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		if _, err := replica.Link("node-00010", fmt.Sprintf("node-%05d", 1000*n), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	file.SetLast(replica.Last())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

// until waits until a page has some number of nodes.
func (g *pageGraph) until(t *testing.T, nodes int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(g.values()) < nodes; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the page has %d nodes, not %d", len(g.values()), nodes)
		}
	}
}

// slowNet is one on which a large graph takes seconds.
var slowNet = memnet.Path{RTT: 20 * time.Millisecond, Rate: 20e6}

// A graph that is too large for one message reaches a page in pieces; one that is
// cut off meanwhile gets the rest when it is back.
func TestMemoryServesWhatNoPageCould(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		want := large(t, dir)
		net.Path = &slowNet
		remembering(t, net, "server", dir)
		g := newPageGraph()
		for load := 0; ; load++ {
			a := openGraphPage(t, net, fmt.Sprint("a", load), "AAAA", g)
			g.until(t, 1_500*load+1)
			if load == 2 {
				settle(30 * time.Second)
				a.has(want)
				if got := a.edges("node-00010"); len(got) != 5 {
					t.Errorf("edges: %v", got)
				}
				a.unsigned()
				return
			}
			a.leave() // it has a part only
			if n := len(g.values()); n == len(want) {
				t.Fatalf("load %d had everything", load)
			}
		}
	})
}

// Pages and the server change the same things while they are apart.
func TestMemoryConverges(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		m, stop := remembering(t, net, "first", dir)
		ga, gb := newPageGraph(), newPageGraph()
		a := openGraphPage(t, net, "a", "AAAA", ga)
		b := openGraphPage(t, net, "b", "BBBB", gb)
		settle(3 * time.Second)
		for n := range 20 {
			put(t, m, fmt.Sprint("n", n), `"server"`, engine.Change{})
		}
		settle(time.Second)
		a.leave()
		b.leave()
		settle(time.Second)
		a.put("n1", `"a"`)
		a.remove("n2")
		settle(time.Second)
		b.put("n1", `"b"`)
		b.put("n2", `"b"`)
		put(t, m, "n3", `"late"`, engine.Change{})
		if _, err := m.Remove(t.Context(), "n4", engine.Change{}); err != nil {
			t.Fatal(err)
		}
		stop()

		m, _ = remembering(t, net, "second", dir)
		a = openGraphPage(t, net, "a2", "AAAA", ga)
		settle(5 * time.Second)
		b = openGraphPage(t, net, "b2", "BBBB", gb)
		settle(5 * time.Second)
		want := map[string]string{}
		for n := range 20 {
			want[fmt.Sprint("n", n)] = `"server"`
		}
		want["n1"], want["n2"], want["n3"] = `"b"`, `"b"`, `"late"`
		delete(want, "n4")
		memoryHas(t, m, want)
		a.has(want)
		b.has(want)
	})
}

// Who was told something new before it had all that is old is told the old all the
// same, also by the next process.
func TestMemoryKnowsWhoWasCutOff(t *testing.T) {
	for restarts := range 3 {
		t.Run(fmt.Sprintf("restarts=%d", restarts), func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				dir := t.TempDir()
				want := large(t, dir)
				settle(5 * time.Minute)
				net.Path = &slowNet
				_, stop := remembering(t, net, "first", dir)
				b := openGraphPage(t, net, "b", "BBBB", newPageGraph())
				settle(30 * time.Second)
				g := newPageGraph()
				a := openGraphPage(t, net, "a", "AAAA", g)
				g.until(t, 500)
				b.put("new", "1")
				want["new"] = "1"
				for g.values()["new"] == "" {
					time.Sleep(10 * time.Millisecond)
				}
				a.crash()
				if n := len(g.values()); n == len(want) {
					t.Fatal("the page had everything")
				}
				settle(30 * time.Second)
				for n := range restarts {
					stop()
					_, stop = remembering(t, net, fmt.Sprint("next", n), dir)
					settle(time.Second)
				}
				a = openGraphPage(t, net, "a2", "AAAA", g)
				settle(30 * time.Second)
				a.has(want)
			})
		})
	}
}

// What is changed over HTTP while a page is being told of it does not cost it the edges.
func TestMemoryTellsItsOwnInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		want := large(t, dir)
		net.Path = &slowNet
		m, _ := remembering(t, net, "server", dir)
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		a.until(t, 500)
		put(t, m, "node-00010", "1", engine.Change{}) // the one with edges
		settle(30 * time.Second)
		want["node-00010"] = "1"
		a.has(want)
		if got := a.edges("node-00010"); len(got) != 5 {
			t.Errorf("edges: %v", got)
		}
	})
}

// What one peer has shown us is told to those that have no link with it.
func TestMemoryTellsWhatItLearned(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		settle(5 * time.Second)
		op := graph.Op{Kind: graph.Upsert, ID: "away", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: time.Now().UnixMilli(), Logical: 1}}
		b := openGraphPage(t, net, "b", "BBBB", newPageGraph())
		settle(5 * time.Second)
		server := m.Stats()
		if server.Peers != 2 {
			t.Fatalf("%d peers", server.Peers)
		}
		var id string
		for _, peer := range b.peers() {
			if peer != a.id {
				id = peer
			}
		}
		b.lock.Lock()
		if _, err := b.replica.Apply(op, time.Now(), false); err != nil {
			t.Fatal(err)
		}
		before := b.nodes
		b.lock.Unlock()
		b.page.send("syncGraph", engine.Content{Kind: engine.JSON, Data: graph.Delta(graph.Encode(op))}, id)
		settle(5 * time.Second)
		a.has(map[string]string{"away": "1"})
		b.lock.Lock()
		defer b.lock.Unlock()
		if b.nodes != before {
			t.Error("who told it is told")
		}
	})
}

// A page that was told of a node without its edges has the newest timestamp of it, and no edge:
// nothing older brings one. Its answers show it.
func TestMemoryMendsTornNodes(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		put(t, m, "x", `"value"`, engine.Change{})
		for _, id := range []string{"y", "z"} {
			put(t, m, id, "1", engine.Change{})
			if _, err := m.Link(t.Context(), "x", id, engine.Change{}); err != nil {
				t.Fatal(err)
			}
		}
		whole, torn := newPageGraph(), newPageGraph()
		for _, id := range []string{"x", "y", "z"} {
			e, err := m.Get(id)
			if err != nil {
				t.Fatal(err)
			}
			e.Edges = nil
			if err := torn.entries.Set(e); err != nil {
				t.Fatal(err)
			}
		}
		pages := []*graphPage{openGraphPage(t, net, "a", "AAAA", whole), openGraphPage(t, net, "b", "BBBB", torn)}
		settle(time.Minute)
		for _, p := range pages {
			p.lock.Lock()
			if got := p.entries["x"]; !slices.Equal(got.Edges, []string{"y", "z"}) || string(got.Value) != `"value"` {
				t.Errorf("page %s has %+v", p.id, got)
			}
			p.lock.Unlock()
		}
		head := m.Head()
		settle(10 * time.Minute)
		if m.Head() != head {
			t.Error("it is told again and again")
		}
	})
}

// What somebody tells us alone while a page is being answered, that page hears too.
func TestMemoryTellsWhatCameMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		want := large(t, dir)
		net.Path = &slowNet
		m, _ := remembering(t, net, "server", dir)
		b := openGraphPage(t, net, "b", "BBBB", newPageGraph())
		settle(30 * time.Second)
		server := b.peers()[0]
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		a.until(t, 500)
		op := graph.Op{Kind: graph.Upsert, ID: "aside", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: time.Now().UnixMilli(), Logical: 9_999}}
		b.page.send("syncGraph", engine.Content{Kind: engine.JSON, Data: graph.Encode(op)}, server)
		settle(30 * time.Second)
		want["aside"] = "1"
		memoryHas(t, m, want)
		a.has(want)
	})
}

// What a node is linked to is not read for it: a hub of large nodes would cost as much as
// all of them, whenever it is told of.
func TestMemoryReadsNoTargets(t *testing.T) {
	m, stop := remembering(t, memnet.New(), "server", t.TempDir())
	defer stop()
	ctx := t.Context()
	put(t, m, "hub", "1", engine.Change{})
	var want []string
	for n := range 20 {
		id := fmt.Sprint("n", n)
		want = append(want, id)
		put(t, m, id, `"`+strings.Repeat("x", 256<<10)+`"`, engine.Change{})
		if _, err := m.Link(ctx, "hub", id, engine.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if e, err := m.Get("hub"); err != nil || !slices.Equal(e.Edges, want) {
			t.Fatal(e.Edges, err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 10; n > 1<<20 {
		t.Errorf("%d bytes were read for a node of a few", n)
	}
	if _, err := m.Remove(ctx, "n7", engine.Change{}); err != nil {
		t.Fatal(err)
	}
	if e, err := m.Get("hub"); err != nil || len(e.Edges) != 19 || slices.Contains(e.Edges, "n7") {
		t.Error(e.Edges, err)
	}
}

// What the disk could not take is asked for, whatever came after it.
func TestMemoryAsksForWhatItMissed(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		put(t, m, "first", "1", engine.Change{})
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		settle(3 * time.Second)
		for n := range 3 { // more than may wait for the disk
			a.put(fmt.Sprint("large", n), `"`+strings.Repeat("a", 7<<20)+`"`)
		}
		settle(time.Second)
		if _, err := m.Get("large2"); !errors.Is(err, engine.ErrNoNode) {
			t.Fatalf("it was taken: %v", err)
		}
		a.remove("large0") // so that the page can say everything in one message
		a.remove("large1")
		settle(30 * time.Second)
		a.lock.Lock()
		asked := a.heard["everything"]
		a.lock.Unlock()
		if asked != 1 {
			t.Errorf("the page was asked for everything %d times", asked)
		}
		if _, err := m.Get("large2"); err != nil {
			t.Error(err)
		}
	})
}

// A removal is told once, and once again, however often a message would undo it.
func TestMemoryTellsARemovalTwice(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		settle(3 * time.Second)
		put(t, m, "x", "1", engine.Change{})
		if _, err := m.Remove(t.Context(), "x", engine.Change{}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		told := func() int { a.lock.Lock(); defer a.lock.Unlock(); return a.nodes }
		before := told()
		ops := slices.Repeat([]graph.Op{{Kind: graph.Upsert, ID: "x", Value: json.RawMessage("2"), Timestamp: graph.Timestamp{Physical: 1}}}, 1_000)
		a.tell(graph.Encode(ops...))
		settle(10 * time.Second)
		if n := told() - before; n != 2 {
			t.Errorf("the page was told %d operations", n)
		}
	})
}

// The bound of graphs that are open can be changed.
func TestMemoryBoundChanges(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		e := net.Endpoint("server")
		n := engine.New(engine.Config{Signaling: e, Transport: e, Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		defer n.Close(context.Background())
		r, err := n.Open(engine.RoomConfig{Name: "demo", Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		put(t, r.Memory(), "x", "1", engine.Change{})
		n.SetLimits(engine.Limits{Graph: 10})
		if _, err := r.Memory().Put(t.Context(), "y", json.RawMessage("1"), engine.Change{}); !errors.Is(err, engine.ErrGraphFull) {
			t.Errorf("beyond the bound: %v", err)
		}
	})
}

// A peer cannot have the graph read as often as it can ask.
func TestMemoryAnswersAPeerNowAndThen(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, _ := remembering(t, net, "server", t.TempDir())
		put(t, m, "x", "1", engine.Change{})
		a := openGraphPage(t, net, "a", "AAAA", newPageGraph())
		settle(3 * time.Second)
		told := func() int { a.lock.Lock(); defer a.lock.Unlock(); return a.nodes }
		before := told()
		for range 100 {
			a.page.send("syncGraph", engine.Content{Kind: engine.JSON, Data: []byte(`[{"type":"fullStateSync","graphData":{},"timestamp":null}]`)}, a.peers()...)
			time.Sleep(10 * time.Millisecond)
		}
		settle(5 * time.Second)
		if n := told() - before; n < 1 || n > 3 {
			t.Errorf("the page was told %d nodes", n)
		}
	})
}

// Who was cut off by the end of the process is told what it lacks, though others told it
// what is newer than the restart before it was back.
func TestMemoryBelievesNobodyAfterABadEnd(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		want := large(t, dir)
		settle(5 * time.Minute)
		net.Path = &slowNet
		_, stop := remembering(t, net, "first", dir)
		g := newPageGraph()
		a := openGraphPage(t, net, "a", "AAAA", g)
		g.until(t, 500)
		a.crash()
		settle(30 * time.Second)
		stop()
		m, _ := remembering(t, net, "second", dir)
		settle(time.Minute)
		e := put(t, m, "newer", "1", engine.Change{})
		want["newer"] = "1"
		op := graph.Op{Kind: graph.Upsert, ID: e.ID, Value: e.Value, Timestamp: e.Timestamp}
		if _, err := g.replica.Apply(op, time.Now(), true); err != nil {
			t.Fatal(err)
		}
		a = openGraphPage(t, net, "a2", "AAAA", g)
		settle(30 * time.Second)
		if n := len(a.values()); n != len(want) {
			t.Errorf("the page has %d nodes, want %d", n, len(want))
		}
	})
}
