package engine

import (
	"errors"
	"maps"
	"slices"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// heard takes a message of a link of the sync room. The link's goroutine reads it,
// the actor applies it.
func (m *Memory) heard(l *link, f *frame.Message) {
	c := &m.room.node.counters
	if f.Channel != ChannelGraph || f.Content.Kind == Binary {
		c.drop("graph: not on its channel")
		return
	}
	msg, err := graph.Decode(f.Content.Data)
	if err != nil {
		c.drop("graph: bad message")
		return
	}
	if msg.Bad > 0 {
		c.drop("graph: bad operations")
	}
	// Of a link one message at most waits for the actor: read, it may be many times as
	// large as it came.
	m.room.ask(func() {
		a := m.askers[l]
		if a == nil {
			m.room.node.counters.drop("graph: by a link that was replaced")
			return
		}
		if len(msg.Ops) > 0 {
			m.room.toCells(l, f)
		}
		m.take(a, &msg, false)
	})
}

// take applies what a peer says, to us or to all in the mesh, and answers what it asks.
// It reports whether an answer had something new.
func (m *Memory) take(a *asker, msg *graph.Message, all bool) (learned bool) {
	a.spoke = true
	buried := make(map[string]bool)
	m.apply(buried, msg.Ops, true)
	before := m.store.Staged()
	news := m.apply(buried, msg.Delta, false)
	if msg.Full != nil {
		again, err := m.replica.Merge(msg.Full, m.room.now())
		for _, op := range again {
			buried[op.ID] = true
		}
		m.refused(err)
	}
	m.store.SetLast(m.replica.Last())
	m.bury(buried)
	if learned = m.store.Staged() > before; learned {
		m.learned(a, before, all)
	}
	m.torn(a, msg)
	a.asking = a.asking || msg.Full != nil || msg.Asked != nil
	a.showed = a.showed || msg.Full != nil || msg.Delta != nil
	switch {
	case msg.Full != nil:
		m.compare(a, msg.Full)
	case msg.Delta != nil:
		m.replied(a)
	}
	if news && a.link != nil {
		m.askForMore(a)
	}
	if msg.Asked != nil {
		m.asked(a, *msg.Asked)
	}
	return learned
}

// apply applies operations, and notes the nodes that they would put back though they
// were removed. It reports whether the first has changed the graph.
func (m *Memory) apply(buried map[string]bool, ops []graph.Op, live bool) (first bool) {
	now := m.room.now()
	for i, op := range ops {
		outcome, err := m.replica.Apply(op, now, live)
		m.refused(err)
		first = first || i == 0 && outcome == graph.Applied
		if outcome == graph.Buried {
			buried[op.ID] = true
		}
	}
	return first
}

// refused notes that an operation was not kept. Those who made it have it: they are
// asked again.
func (m *Memory) refused(err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, store.ErrGraphFull), errors.Is(err, graph.ErrEdges):
		m.room.node.counters.drop("graph: full")
		return
	}
	m.room.node.counters.drop("graph: not kept")
	if m.missed {
		return
	}
	m.missed = true
	m.far.repeats.Purge()
	m.room.log.Error("operations of peers are not kept: they will be asked for again", "error", err)
	m.room.after(missedAgain, m.askForMissed)
}

// askForMissed asks everybody for everything, once the disk takes it: what was kept since is
// newer than what was missed, and peers tell what is newer.
func (m *Memory) askForMissed() {
	if m.store.Err() != nil {
		m.room.after(missedAgain, m.askForMissed)
		return
	}
	m.missed = false
	for _, a := range m.askers {
		a.spoke, a.asks, a.missed = false, 0, true
		m.ask(a)
	}
}

// bury tells everybody that nodes are removed, of which somebody has an old copy: it
// would put them back for those who have forgotten the removal. They are told twice, as
// browsers forget at once a removal of what they do not have, and the old copy may be
// on its way to them still.
func (m *Memory) bury(nodes map[string]bool) {
	if len(nodes) == 0 {
		return
	}
	if !m.burials.AllowN(m.room.now(), 1) {
		m.room.node.counters.drop("graph: removals told too often")
		return
	}
	ids := slices.Sorted(maps.Keys(nodes))
	m.tellRemovals(ids)
	m.room.after(buryAgain, func() { m.tellRemovals(ids) })
}

func (m *Memory) tellRemovals(ids []string) {
	removals := make([]graph.Op, 0, len(ids))
	for _, id := range ids {
		e, ok, err := m.store.Entry(id)
		if err == nil && ok && e.Removed {
			removals = append(removals, graph.Op{Kind: graph.Remove, ID: e.ID, Timestamp: e.Timestamp, Extra: e.Extra})
		}
	}
	for len(removals) > 0 {
		n := min(len(removals), 1_000)
		for range m.broadcast(func(*asker) bool { return true }, removals[:n]...) {
			m.room.node.counters.drop("graph: removals not told to a slow peer")
		}
		removals = removals[n:]
	}
}

// made tells all peers of a change of ours. Those that are being answered are told when
// they have the answer: what is older would be refused by them, edges too. One that
// cannot take it is told later.
func (m *Memory) made(op graph.Op) {
	for _, a := range m.broadcast(func(a *asker) bool { return a.working == nil }, op) {
		m.behind(a, m.store.Staged()-1)
	}
}

// broadcast tells the peers that are to be told, and returns those that were not, though
// they could still be.
func (m *Memory) broadcast(told func(*asker) bool, ops ...graph.Op) (later []*asker) {
	data := graph.Delta(graph.Encode(ops...))
	frames, err := m.encode(data)
	if err != nil {
		m.room.node.counters.drop("graph: too large for peers")
		return nil
	}
	for l, a := range m.askers {
		if !told(a) || l.out.put(ChannelGraph, &outgoing{frames: frames}) == ErrPeerSlow {
			later = append(later, a)
		}
	}
	return append(later, m.tellFar(data, told)...)
}

// encode makes frames of a message of the server's peer.
func (m *Memory) encode(data []byte) ([][]byte, error) {
	return frame.Encode(ChannelGraph, m.room.server.nextNonce(ChannelGraph), Content{Kind: JSON, Data: data})
}
