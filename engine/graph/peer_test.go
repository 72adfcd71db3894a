package graph

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// peer is a replica of ours, or a page.
type peer struct {
	*world
	index  int
	skew   int64
	online bool
	page   *vanilla

	store *table
	*Replica
	saved  Replica
	kept   map[string]Entry
	had    map[int]uint64 // lost in a restart
	owed   map[int]int    // answers that have not arrived, by peer
	lost   map[int]bool   // who has not had the whole of one; survives
	opened map[int]int64
	told   map[int]bool // who was answered on its link
	// What to ask whom with: a minute before the last link's end. Lost in a restart.
	asks map[int]Timestamp
	// Whose answer has not come on its link, and up to when nothing is missing.
	awaited  map[int]bool
	complete Timestamp
	base     Timestamp // complete as it was saved
}

// now is the peer's clock: where there are pages no two have the same millisecond, so that
// timestamps are distinct.
func (p *peer) now() time.Time {
	if p.skew != 0 || p.page == nil && !slices.ContainsFunc(p.peers, func(q *peer) bool { return q.page != nil }) {
		return time.UnixMilli(p.ms + p.skew)
	}
	return time.UnixMilli(p.ms*8 + int64(p.index))
}

func (p *peer) save() {
	p.kept, p.saved = maps.Clone(p.store.entries), *p.Replica
	if len(p.awaited) == 0 {
		p.complete = p.Last()
	}
	p.base = p.complete
}

func (p *peer) restart() {
	p.store.entries = maps.Clone(p.kept)
	p.Replica = NewReplica(p.store, p.saved.Last())
	p.had = make(map[int]uint64)
	p.asks, p.awaited, p.told = make(map[int]Timestamp), make(map[int]bool), make(map[int]bool)
	p.complete = p.base
}

func (p *peer) linked(to int) {
	if p.page != nil {
		p.broadcast(p.page.asks())
		return
	}
	p.rt.Logf("%d linked to %d", p.index, to)
	p.opened[to] = p.ms
	t, before := p.asks[to]
	if !before {
		t = minuteBefore(p.base)
	}
	p.awaited[to], p.told[to] = true, false
	p.send(to, EncodeSync(t), nil)
}

func minuteBefore(t Timestamp) Timestamp { return Timestamp{Physical: max(0, t.Physical-60_000)} }

func (p *peer) leave() {
	p.rt.Logf("%d leave", p.index)
	for _, q := range p.peers {
		if q != p {
			p.cut(p, q)
		}
	}
	p.online = false
}

func (p *peer) send(to int, data []byte, arrived func()) {
	if packets, open := p.links[[2]int{p.index, to}]; open {
		p.links[[2]int{p.index, to}] = append(packets, packet{data, arrived})
	}
}

func (p *peer) broadcast(data []byte) {
	for _, q := range p.peers {
		p.send(q.index, data, nil)
	}
}

func (p *peer) ok(err error) {
	if err != nil {
		p.rt.Fatal(err)
	}
}

func (p *peer) receive(from int, data []byte) {
	if p.page != nil {
		for _, reply := range p.page.receive(data) {
			p.broadcast(reply)
		}
		return
	}
	m, err := Decode(data)
	p.ok(err)
	if m.Bad != 0 {
		p.rt.Fatalf("not understood: %s", data)
	}
	for _, op := range m.Ops {
		p.take(from, op, true)
	}
	before := p.store.seq
	for _, op := range m.Delta {
		p.take(from, op, false)
	}
	if m.Full != nil {
		for _, e := range m.Full.Nodes {
			have := p.store.entries[e.ID]
			if e.Timestamp.After(have.Timestamp) && !p.leads(e.ID, have.Timestamp, e.Timestamp) {
				p.torn[e.ID] = true
			}
		}
		buried, err := p.Merge(m.Full, p.now())
		p.ok(err)
		if len(buried) > 0 {
			p.broadcast(Encode(buried...))
		}
		a, err := Against(p.store.scan, p.store.Entry, m.Full)
		p.ok(err)
		p.answer(from, a)
	}
	if p.store.seq > before {
		for _, q := range p.peers {
			if _, open := p.links[[2]int{p.index, q.index}]; open && q.index != from {
				a, err := Since(p.store.scan, p.store.Entry, before, p.Last())
				p.ok(err)
				p.answer(q.index, a)
			}
		}
	}
	if m.Delta != nil || m.Full != nil {
		delete(p.awaited, from)
	}
	if m.Asked != nil {
		asker := Asker{Asked: *m.Asked, Some: p.peers[from].page == nil, Had: p.had[from]}
		if !p.lost[from] && p.owed[from] == 0 {
			asker.Before = uint64(max(0, (p.now().UnixMilli()-p.ms+p.opened[from])*1000-60_000_000))
		}
		a, err := NewAnswer(p.store.scan, p.store.Entry, asker)
		p.ok(err)
		p.told[from], p.lost[from] = true, false // it is owed this one
		p.answer(from, a)
		if q := p.peers[from]; a.Empty() && q.page == nil {
			delete(q.awaited, p.index)
		}
		if !a.Empty() && len(a.items) == len(p.store.entries) && !m.Asked.IsZero() {
			p.awaited[from] = true
			p.send(from, EncodeSync(Timestamp{}), nil) // it has what we lack
		}
	}
}

func (p *peer) take(from int, op Op, live bool) {
	have := p.store.entries[op.ID]
	outcome, err := p.Apply(op, p.now(), live)
	p.ok(err)
	switch outcome {
	case Applied:
		if op.Kind == Link && have.Timestamp.After(op.Timestamp) && p.removed[op.ID] {
			p.torn[op.ID] = true // it may be of an earlier node
		}
		p.applied(op.ID, have.Timestamp, op.Timestamp, []string{"", "upsert", "remove", "link"}[op.Kind])
	case Buried:
		removal, ok, err := p.Removal(op.ID)
		p.ok(err)
		if !ok {
			p.rt.Fatalf("%s is not removed", op.ID)
		}
		if removal.Timestamp != have.Timestamp {
			p.wrote(op.ID, write{kind: "remove", timestamp: removal.Timestamp, after: have.Timestamp})
		}
		p.broadcast(Encode(removal))
	case Missing:
		if live {
			p.torn[op.ID] = true
		}
	}
}

func (p *peer) answer(to int, a *Answer) {
	if a.Empty() {
		return
	}
	p.owed[to]++
	done := func() {
		p.owed[to]--
		delete(p.peers[to].awaited, p.index) // as time will tell
	}
	var batches [][]byte
	for batch, err := range a.Batches(p.limit) {
		p.ok(err)
		if !json.Valid(batch) {
			p.rt.Fatalf("not JSON: %s", batch)
		}
		batches = append(batches, batch)
	}
	for i, batch := range batches {
		if i < len(batches)-1 {
			p.send(to, batch, nil)
		} else {
			p.send(to, batch, done)
		}
	}
}

// node is what a peer knows of a node; nil if it does not exist.
func (p *peer) node(id string) *wireNode {
	if p.page != nil {
		return p.page.nodes[id]
	}
	e, known := p.store.entries[id]
	if !known || e.Removed {
		return nil
	}
	return &wireNode{id, e.Value, e.Edges, &e.Timestamp}
}
