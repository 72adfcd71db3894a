package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// farPeers are pages without a link with the server: what they say and hear, one page
// with a link carries.
type farPeers struct {
	*page
	t     *testing.T
	ready chan struct{}
	fars  map[string]*pageGraph
	seq   uint64
	told  []cells.Message // what was said to some, by the server
	at    []time.Time
	asked int // the page with the link
}

func openFar(t *testing.T, net *memnet.Network, ids ...string) *farPeers {
	f := &farPeers{t: t, ready: make(chan struct{}), fars: map[string]*pageGraph{}}
	f.page = openPageIn(t, net, "carrier", "CARRIER", engine.SyncRoom("demo"), "", f.hear)
	for _, id := range ids {
		f.join(net, id)
	}
	close(f.ready)
	return f
}

// join has a peer be in the room that lets nobody in.
func (f *farPeers) join(net *memnet.Network, id string) {
	f.mu.Lock()
	f.fars[id] = newPageGraph()
	f.mu.Unlock()
	sig, err := net.Endpoint(id).Open(engine.SyncRoom("demo"), "", func(engine.Signal) {})
	if err != nil {
		f.t.Fatal(err)
	}
	sig.Host(id)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			sig.Announce(id, "")
			select {
			case <-time.After(10 * time.Second):
			case <-stop:
				return
			}
		}
	}()
	f.t.Cleanup(func() { close(stop); <-ended; sig.Close() })
}

func (f *farPeers) hear(_ string, m *frame.Message) {
	if m == nil {
		return
	}
	<-f.ready
	if _, ok := cells.ParseChannel(m.Channel); !ok {
		if said, err := graph.Decode(m.Content.Data); err == nil && said.Asked != nil {
			f.mu.Lock()
			f.asked++
			f.mu.Unlock()
		}
		return
	}
	mesh, err := cells.Decode(m.Content.Data)
	if err != nil {
		f.t.Errorf("%s: %v", m.Content.Data, err)
		return
	}
	if ping, ok := mesh.Ping(); ok && mesh.Kind == cells.KindPing && ping.Target == f.id {
		f.frame(f.id, cells.KindPong, cells.AppendPong(nil, cells.Pong{ID: ping.ID, At: 1}))
	}
	msg, ok := mesh.Message()
	if !ok || mesh.Kind != cells.KindMsg {
		return
	}
	said, err := graph.Decode(msg.Data)
	if err != nil || len(said.Ops) > 0 {
		f.t.Errorf("%.200s: %v", msg.Data, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told, f.at = append(f.told, msg), append(f.at, time.Now())
	for id, g := range f.fars {
		if !msg.All && !slices.Contains(msg.To, id) {
			continue
		}
		g.lock.Lock()
		for _, op := range said.Delta {
			g.replica.Apply(op, time.Now(), false)
		}
		if said.Asked != nil {
			g.heard["sync"]++
		}
		g.lock.Unlock()
	}
}

func (f *farPeers) frame(origin, kind string, data []byte) {
	f.mu.Lock()
	f.seq++
	m := cells.Frame{Kind: kind, ID: cells.NewID(origin, time.Now(), f.seq), TTL: 5, Data: data, Origin: origin}
	f.mu.Unlock()
	f.page.send("c0", engine.Content{Kind: engine.Text, Data: m.Append(nil)})
}

// say has a peer say something about the graph.
func (f *farPeers) say(origin string, data []byte) {
	f.frame(origin, cells.KindMsg, cells.AppendMessage(nil, cells.Message{Channel: engine.ChannelGraph, Data: data, All: true}))
}

func (f *farPeers) ask(id string) {
	g := f.fars[id]
	g.lock.Lock()
	last := g.replica.Last()
	g.lock.Unlock()
	f.say(id, graph.EncodeSync(last))
}

// answers forgets and returns what the server has told some or all, its questions aside.
func (f *farPeers) answers() (told []cells.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.told {
		if !strings.Contains(string(m.Data), `"sync"`) {
			told = append(told, m)
		}
	}
	f.told, f.at = nil, nil
	return told
}

func (f *farPeers) has(id string, want map[string]string) {
	f.t.Helper()
	if got := f.fars[id].values(); !maps.Equal(got, want) {
		f.t.Errorf("%s has %d nodes, want %d", id, len(got), len(want))
	}
}

// Who asks through the mesh is answered alone, with others that ask at the same time, and
// once, unless it shows that it did not get the answer.
func TestMemoryAnswersFarPeersOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		put(t, m.Memory, "x", "1", engine.Change{})
		f := openFar(t, net, "FAR1", "FAR2", "FAR3")
		settle(time.Minute)
		want := map[string]string{"x": "1"}
		// Once for all, as it was written while they came.
		if told := f.answers(); len(told) != 3 || len(told[0].To) != 3 || !told[1].All || len(told[2].To) != 3 {
			t.Errorf("who has not asked, as nobody would have heard it, was told %+v", told)
		}
		for id := range f.fars {
			f.has(id, want)
		}

		f.fars["FAR1"], f.fars["FAR2"] = newPageGraph(), newPageGraph()
		f.ask("FAR1")
		f.ask("FAR2")
		f.ask("FAR1")
		settle(10 * time.Second)
		told := f.answers()
		if len(told) != 1 || told[0].All || len(told[0].To) != 2 {
			t.Errorf("two that have asked together were told %+v", told)
		}
		f.has("FAR1", want)
		f.has("FAR2", want)

		f.ask("FAR1") // it has all
		settle(10 * time.Second)
		if told := f.answers(); len(told) != 0 {
			t.Errorf("it has all, and was told %+v", told)
		}
		put(t, m.Memory, "y", "2", engine.Change{})
		want["y"] = "2"
		settle(time.Second)
		if told := f.answers(); len(told) != 1 {
			t.Errorf("a change was told by %d frames", len(told))
		}
		f.has("FAR1", want)

		// It has lost everything.
		f.fars["FAR2"] = newPageGraph()
		settle(10 * time.Second)
		f.ask("FAR2")
		settle(10 * time.Second)
		if told := f.answers(); len(told) != 1 || !slices.Equal(told[0].To, []string{"FAR2"}) {
			t.Errorf("one that has lost everything was told %+v", told)
		}
		f.has("FAR2", want)

	})
}

// A peer that asks by a thousand times, and in the name of others, makes little work.
func TestMemoryBoundsFarPeers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		put(t, m.Memory, "x", "1", engine.Change{})
		f := openFar(t, net, "FAR1", "FAR2")
		settle(time.Minute)
		f.answers()
		for n := range 1_000 {
			f.say("FAR1", graph.EncodeSync(graph.Timestamp{Physical: int64(n), Logical: 1}))
			f.say(fmt.Sprint("NOBODY", n), graph.EncodeSync(graph.Timestamp{}))
			f.say([]string{"FAR1", "FAR2"}[n%2], fmt.Appendf(nil, `[{"type":"fullStateSync","graphData":{},"timestamp":{"physical":1,"logical":%d}}]`, n))
			time.Sleep(10 * time.Millisecond)
		}
		settle(20 * time.Second)
		if n := len(f.answers()); n == 0 || n > 10 {
			t.Errorf("%d answers in half a minute", n)
		}
		dropped := m.node.Stats().Dropped
		if dropped["graph: of a peer that is not in the room"] < 1_000 {
			t.Errorf("counters: %v", dropped)
		}
	})
}

// What a peer says in its log, whenever somebody asks, is read once.
func TestMemoryReadsRepeatsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		f := openFar(t, net, "FAR1")
		settle(20 * time.Second)
		op := graph.Op{Kind: graph.Upsert, ID: "x", Value: json.RawMessage(`"` + strings.Repeat("x", 1_000) + `"`), Timestamp: graph.Timestamp{Physical: 1, Logical: 1}}
		for range 10 {
			f.say("FAR1", graph.Delta(graph.Encode(op)))
		}
		settle(5 * time.Second)
		if _, err := m.Get("x"); err != nil {
			t.Error(err)
		}
		if n := m.node.Stats().Dropped["graph: the same again"]; n != 9 {
			t.Errorf("%d repeats were left out", n)
		}
	})
}

// After a seal those in other cells are asked once what they have, one after the other.
func TestMemoryAsksFarPeers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		ids := []string{"FAR1", "FAR2", "FAR3"}
		f := openFar(t, net, ids...)
		settle(40 * time.Second)
		f.mu.Lock()
		for i, at := range f.at[1:] {
			if d := at.Sub(f.at[i]); d < 2*time.Second {
				t.Errorf("the next was asked after %v", d)
			}
		}
		f.mu.Unlock()
		op := graph.Op{Kind: graph.Upsert, ID: "x", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: 1, Logical: 1}}
		f.say("FAR2", graph.Delta(graph.Encode(op)))
		f.join(net, "FAR4") // another seal
		settle(time.Minute)
		memoryHas(t, m.Memory, map[string]string{"x": "1"})
		for id, want := range map[string]int{"FAR1": 2, "FAR2": 2, "FAR3": 2, "FAR4": 1} {
			if n := f.fars[id].heard["sync"]; n != want {
				t.Errorf("%s was asked %d times", id, n)
			}
		}
	})
}

// A peer with a link is asked after a seal, as what it said before may have reached nobody; it is
// asked again after each seal.
func TestMemoryAsksAgainAfterASeal(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		rememberInCells(t, net, "server", t.TempDir(), 50)
		f := openFar(t, net)
		asked := func() int {
			settle(time.Minute)
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.asked
		}
		if n := asked(); n != 4 {
			t.Errorf("it was asked %d times", n)
		}
		f.join(net, "FAR1")
		if n := asked(); n != 5 {
			t.Errorf("after a seal it was asked %d times", n)
		}
		f.say(f.id, graph.Delta(graph.Encode(graph.Op{Kind: graph.Upsert, ID: "x", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: 1}})))
		f.join(net, "FAR2")
		if n := asked(); n != 7 { // once more, as it may have more than its log
			t.Errorf("when it had told something new, it was asked %d times", n)
		}
		f.join(net, "FAR3")
		if n := asked(); n != 8 {
			t.Errorf("after another seal it was asked %d times", n)
		}
	})
}

// Who tells of more than a page may have in its log is asked for the rest, once.
func TestMemoryAsksForMoreThanALog(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		rememberInCells(t, net, "server", t.TempDir(), 50)
		f := openFar(t, net, "FAR1")
		settle(30 * time.Second)
		for round := range 3 {
			var ops []graph.Op
			for n := range 200 {
				ops = append(ops, graph.Op{Kind: graph.Upsert, ID: fmt.Sprint(round, n), Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: 1, Logical: uint64(n)}})
			}
			f.say("FAR1", graph.Delta(graph.Encode(ops...)))
			settle(5 * time.Second)
		}
		if n := f.fars["FAR1"].heard["sync"]; n != 2 {
			t.Errorf("it was asked %d times", n)
		}
	})
}

// What one in another cell tells us alone, those of all cells hear.
func TestMemoryTellsOtherCellsWhatItLearned(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		put(t, m.Memory, "x", "1", engine.Change{})
		f := openFar(t, net, "FAR1", "FAR2")
		settle(30 * time.Second)
		op := graph.Op{Kind: graph.Upsert, ID: "y", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: 1, Logical: 1}}
		f.frame("FAR1", cells.KindMsg, cells.AppendMessage(nil, cells.Message{Channel: engine.ChannelGraph, Data: graph.Delta(graph.Encode(op)), To: f.page.peers()}))
		settle(10 * time.Second)
		f.has("FAR2", map[string]string{"x": "1", "y": "1"})
	})
}

// What is written while others come they hear, though they had no links yet.
func TestMemoryTellsWhatWasMissedAtASeal(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m := rememberInCells(t, net, "server", t.TempDir(), 50)
		put(t, m.Memory, "x", "1", engine.Change{})
		f := openFar(t, net, "FAR1", "FAR2")
		settle(time.Minute)
		f.has("FAR2", map[string]string{"x": "1"})
		f.join(net, "FAR3")
		f.say("FAR1", graph.Encode(graph.Op{Kind: graph.Upsert, ID: "y", Value: json.RawMessage("1"), Timestamp: graph.Timestamp{Physical: time.Now().UnixMilli(), Logical: 9}}))
		settle(20 * time.Second)
		f.has("FAR2", map[string]string{"x": "1", "y": "1"})
	})
}

// What is changed over HTTP while a peer is told of it through the mesh does not cost it
// the edges.
func TestMemoryTellsFarPeersInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		want := large(t, dir)
		net.Path = &slowNet
		m := rememberInCells(t, net, "server", dir, 50)
		f := openFar(t, net, "FAR1", "FAR2")
		f.fars["FAR1"].until(t, 500)
		put(t, m.Memory, "node-00010", "1", engine.Change{})
		settle(time.Minute)
		want["node-00010"] = "1"
		for id, g := range f.fars {
			if n := len(g.values()); n != len(want) {
				t.Errorf("%s has %d nodes", id, n)
			}
			if got := g.edges("node-00010"); len(got) != 5 {
				t.Errorf("edges: %v", got)
			}
		}
	})
}

// A link that takes nothing does not keep others in other cells from being answered for
// longer than a link has to show that it is alive.
func TestMemoryFarAnswerEnds(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		dir := t.TempDir()
		large(t, dir)
		net.Path = &slowNet
		m := rememberInCells(t, net, "server", dir, 50)
		f := openFar(t, net, "FAR1")
		f.fars["FAR1"].until(t, 500)
		f.endpoint.Freeze(true)
		settle(5 * time.Second)
		if n := m.Stats().Answering; n == 0 {
			t.Error("nothing is under way")
		}
		settle(time.Minute)
		if n := m.Stats().Answering; n != 0 {
			t.Errorf("%d answers are under way", n)
		}
		f.endpoint.Freeze(false)
		settle(time.Second)
	})
}
