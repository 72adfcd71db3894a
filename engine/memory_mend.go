package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

const (
	// mendAfter is how long torn nodes are collected before they are told again, and maxMend
	// how many are at once; the others follow. maxTorn bounds them.
	mendAfter = 2 * time.Second
	maxMend   = 1_000
	maxTorn   = 10_000
	// mendAgain is how soon a node can be told again once more: servers that mend the same
	// node must come to an end.
	mendAgain = time.Minute
	// unrest is how long before a seal, at most, its newcomers have come.
	unrest = 15 * time.Second
)

// torn notes the nodes of an answer, which all have heard, that leave those who had nothing
// yet without edges.
func (m *Memory) torn(by *asker, said *graph.Message) {
	if answersOnly(by.peer) { // a server's answers come in parts
		return
	}
	now := m.room.now()
	ids, err := m.replica.Torn(said, now)
	m.refused(err)
	for _, id := range ids {
		if at, ok := m.mended.Get(id); ok && now.Sub(at) < mendAgain {
			continue
		}
		if len(m.tears) == maxTorn {
			m.room.node.counters.drop("graph: torn nodes not told again")
			return
		}
		if m.tears[id] = struct{}{}; len(m.tears) == 1 {
			m.room.after(mendAfter, m.mend)
		}
	}
}

// mend tells everybody of nodes that somebody may have without their edges.
func (m *Memory) mend() {
	now := m.room.now()
	var ops []graph.Op
	size, before := 0, m.store.Staged()
	tell := func() {
		for _, a := range m.broadcast(func(a *asker) bool { return a.working == nil }, ops...) {
			m.behind(a, before)
		}
		ops, size, before = nil, 0, m.store.Staged()
	}
	ids := slices.Sorted(maps.Keys(m.tears))
	for _, id := range ids[:min(len(ids), maxMend)] {
		delete(m.tears, id)
		m.mended.Add(id, now)
		again, err := m.replica.Again(id)
		m.refused(err)
		m.store.SetLast(m.replica.Last())
		for _, op := range again {
			size += len(op.ID) + len(op.Target) + len(op.Value)
		}
		if ops = append(ops, again...); size >= answerPiece {
			tell()
		}
	}
	if len(ops) > 0 {
		tell()
	}
	if len(m.tears) > 0 {
		m.room.after(mendAfter, m.mend)
	}
}

// settled tells all in cells what was written while the roster changed: those who had no links
// yet have missed it, and nobody says it again.
func (m *Memory) settled() {
	since := uint64(m.room.now().Add(-unaskedAfter - unrest).UnixMicro())
	if m.room.mesh.on && m.store.Staged() > since {
		m.queue(m.others, question{since: since, tail: true, toAll: true})
	}
}
