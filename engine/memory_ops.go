package engine

import (
	"errors"

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
	m.room.post(func() { m.take(l, &msg) })
}

// take applies what a peer says and answers what it asks.
func (m *Memory) take(l *link, msg *graph.Message) {
	a := m.askers[l]
	if a == nil {
		m.room.node.counters.drop("graph: by a link that was replaced")
		return
	}
	a.spoke = true
	var buried []graph.Op
	buried = m.apply(buried, msg.Ops, true)
	buried = m.apply(buried, msg.Delta, false)
	if msg.Full != nil {
		again, err := m.replica.Merge(msg.Full, m.room.now())
		buried = append(buried, again...)
		m.refused(err)
	}
	m.store.SetLast(m.replica.Last())
	m.bury(buried)
	switch {
	case msg.Full != nil:
		m.compare(a, msg.Full)
	case msg.Delta != nil:
		m.replied(a)
	}
	if msg.Asked != nil {
		m.asked(a, *msg.Asked)
	}
}

// apply applies operations, and appends those which put back what was removed.
func (m *Memory) apply(buried []graph.Op, ops []graph.Op, live bool) []graph.Op {
	now := m.room.now()
	for _, op := range ops {
		outcome, err := m.replica.Apply(op, now, live)
		m.refused(err)
		if outcome == graph.Buried {
			buried = append(buried, op)
		}
	}
	return buried
}

// refused notes that an operation was not kept. Those who made it have it: they are
// asked again.
func (m *Memory) refused(err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, store.ErrGraphFull):
		m.room.node.counters.drop("graph: full")
		return
	}
	m.room.node.counters.drop("graph: not kept")
	if m.missed {
		return
	}
	m.missed = true
	m.room.log.Error("operations of peers are not kept: they will be asked for again", "error", err)
	m.room.after(missedAgain, func() {
		m.missed = false
		for _, a := range m.askers {
			a.spoke, a.asks = false, 0
			m.ask(a)
		}
	})
}

// bury tells everybody that nodes are removed, of which somebody has an old copy: it
// would put them back for those who have forgotten the removal. They are told twice, as
// browsers forget at once a removal of what they do not have, and the old copy may be
// on its way to them still.
func (m *Memory) bury(ops []graph.Op) {
	if len(ops) == 0 {
		return
	}
	if !m.burials.AllowN(m.room.now(), 1) {
		m.room.node.counters.drop("graph: removals told too often")
		return
	}
	m.tellRemovals(ops)
	m.room.after(buryAgain, func() { m.tellRemovals(ops) })
}

func (m *Memory) tellRemovals(ops []graph.Op) {
	removals := make([]graph.Op, 0, len(ops))
	for _, op := range ops {
		e, ok, err := m.store.Entry(op.ID)
		if err == nil && ok && e.Removed {
			removals = append(removals, graph.Op{Kind: graph.Remove, ID: e.ID, Timestamp: e.Timestamp, Extra: e.Extra})
		}
	}
	for len(removals) > 0 {
		n := min(len(removals), 1_000)
		m.broadcast(removals[:n]...)
		removals = removals[n:]
	}
}

// broadcast tells all peers of the sync room. One that cannot take it is told later.
func (m *Memory) broadcast(ops ...graph.Op) {
	frames, err := m.encode(graph.Delta(graph.Encode(ops...)))
	if err != nil {
		m.room.node.counters.drop("graph: too large for peers")
		return
	}
	for l, a := range m.askers {
		if err := l.out.put(ChannelGraph, &outgoing{frames: frames}); err == ErrPeerSlow {
			m.behind(a)
		}
	}
}

// encode makes frames of a message of the server's peer.
func (m *Memory) encode(data []byte) ([][]byte, error) {
	return frame.Encode(ChannelGraph, m.room.server.nextNonce(ChannelGraph), Content{Kind: JSON, Data: data})
}
