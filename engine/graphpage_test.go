package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// graphPage is a page in the sync room of a database: it tells everybody what it
// writes, asks at each link, and answers with all that it has.
type graphPage struct {
	*page
	*pageGraph
	t *testing.T
}

// pageGraph is what a page has, over its reloads.
type pageGraph struct {
	lock    sync.Mutex
	entries pageEntries
	replica *graph.Replica
	heard   map[string]int // messages by kind
	nodes   int            // that came in messages
}

type pageEntries map[string]graph.Entry

func (p pageEntries) Entry(id string) (graph.Entry, bool, error) {
	e, ok := p[id]
	return e, ok, nil
}

func (p pageEntries) Set(e graph.Entry) error {
	p[e.ID] = e
	return nil
}

func newPageGraph() *pageGraph {
	g := &pageGraph{entries: pageEntries{}, heard: map[string]int{}}
	g.replica = graph.NewReplica(g.entries, graph.Timestamp{})
	return g
}

func openGraphPage(t *testing.T, net *memnet.Network, load, id string, g *pageGraph) *graphPage {
	p := &graphPage{pageGraph: g, t: t}
	ready := make(chan struct{})
	p.page = openPageIn(t, net, load, id, engine.SyncRoom("demo"), "", func(peer string, m *frame.Message) {
		<-ready
		p.hear(peer, m)
	})
	close(ready)
	return p
}

func (p *graphPage) hear(peer string, m *frame.Message) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if m == nil {
		p.tell(graph.EncodeSync(p.replica.Last()))
		return
	}
	if m.Channel != engine.ChannelGraph {
		return
	}
	msg, err := graph.Decode(m.Content.Data)
	if err != nil || msg.Bad > 0 {
		p.t.Errorf("page %s got %s: %v", p.id, m.Content.Data, err)
	}
	now := time.Now()
	p.heard["live"] += len(msg.Ops)
	for i, op := range append(msg.Ops, msg.Delta...) {
		p.nodes++
		p.replica.Apply(op, now, i < len(msg.Ops))
	}
	if msg.Full != nil {
		p.heard["full"]++
		p.nodes += len(msg.Full.Nodes)
		p.replica.Merge(msg.Full, now)
		if a, err := graph.Against(p.scan, p.entries.Entry, msg.Full); err == nil && !a.Empty() {
			p.answer()
		}
	}
	if msg.Asked != nil {
		p.heard["sync"]++
		switch {
		case msg.Asked.IsZero():
			p.heard["everything"]++
			p.answer()
		case len(p.entries) > 0:
			var ops []graph.Op
			for _, e := range p.entries {
				if !e.Removed {
					ops = append(ops, graph.Op{Kind: graph.Upsert, ID: e.ID, Value: e.Value, Timestamp: e.Timestamp})
				}
			}
			p.tell(fmt.Appendf(nil, `[{"type":"deltaSync","operations":%s,"timestamp":null}]`, graph.Encode(ops...)))
		}
	}
}

// unsigned checks that the server told operations in a way that a page takes which
// wants those of others signed.
func (p *graphPage) unsigned() {
	p.t.Helper()
	p.lock.Lock()
	defer p.lock.Unlock()
	if n := p.heard["live"]; n > 0 {
		p.t.Errorf("page %s: %d operations came outside of a deltaSync", p.id, n)
	}
}

func (g *pageGraph) scan(yield func(graph.Entry) bool) error {
	for _, e := range g.entries {
		if !yield(e) {
			break
		}
	}
	return nil
}

// answer tells everybody everything. It needs the lock.
func (p *graphPage) answer() {
	nodes, removals := map[string]any{}, []any{}
	for _, e := range p.entries {
		at := map[string]any{"physical": e.Timestamp.Physical, "logical": e.Timestamp.Logical}
		if e.Removed {
			removals = append(removals, map[string]any{"type": "remove", "id": e.ID, "timestamp": at})
			continue
		}
		nodes[e.ID] = map[string]any{"id": e.ID, "value": e.Value, "edges": append([]string{}, e.Edges...), "timestamp": at}
	}
	data, err := json.Marshal([]any{map[string]any{"type": "fullStateSync", "graphData": nodes, "removals": removals}})
	if err != nil {
		p.t.Error(err)
	}
	p.tell(data)
}

// tell tells everybody, unless it is too much for a message: then a page says nothing.
func (p *graphPage) tell(data []byte) {
	if _, err := frame.Encode("syncGraph", 0, engine.Content{Kind: engine.JSON, Data: data}); err != nil {
		return
	}
	p.page.send("syncGraph", engine.Content{Kind: engine.JSON, Data: data})
}

// write changes what the page has, and tells everybody.
func (p *graphPage) write(do func(r *graph.Replica, now time.Time) (graph.Op, error)) {
	p.t.Helper()
	p.lock.Lock()
	defer p.lock.Unlock()
	op, err := do(p.replica, time.Now())
	if err != nil {
		p.t.Error(err)
		return
	}
	p.tell(graph.Encode(op))
}

func (p *graphPage) put(id, value string) {
	p.write(func(r *graph.Replica, now time.Time) (graph.Op, error) { return r.Put(id, json.RawMessage(value), now) })
}

func (p *graphPage) remove(id string) {
	p.write(func(r *graph.Replica, now time.Time) (graph.Op, error) { return r.Remove(id, now) })
}

func (p *graphPage) link(source, target string) {
	p.write(func(r *graph.Replica, now time.Time) (graph.Op, error) { return r.Link(source, target, now) })
}

// values are the nodes that there are.
func (g *pageGraph) values() map[string]string {
	g.lock.Lock()
	defer g.lock.Unlock()
	values := map[string]string{}
	for id, e := range g.entries {
		if !e.Removed {
			values[id] = string(e.Value)
		}
	}
	return values
}

func (g *pageGraph) edges(id string) []string {
	g.lock.Lock()
	defer g.lock.Unlock()
	return slices.Sorted(slices.Values(g.entries[id].Edges))
}

func (p *graphPage) has(want map[string]string) {
	p.t.Helper()
	if got := p.values(); !maps.Equal(got, want) {
		p.t.Errorf("page %s has %d nodes, want %d: %.300v, want %.300v", p.id, len(got), len(want), got, want)
	}
}
