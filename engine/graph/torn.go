package graph

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Torn returns the nodes, in the order of their ids, that an answer leaves without some of
// their edges at a browser that has nothing yet, or whose sender has them so: with the
// timestamp that they have, so that nobody's answer brings the edges. A browser that took a
// node from a full state has no links of it in its log, and tells all of its log.
func (r *Replica) Torn(m *Message, now time.Time) ([]string, error) {
	nodes := make(map[string]*Entry)
	if m.Full != nil {
		for _, e := range m.Full.Nodes {
			e.Timestamp = capped(e.Timestamp, now)
			nodes[e.ID] = &e
		}
	}
	for _, op := range m.Delta {
		learn(nodes, op, now)
	}
	var torn []string
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		have, known, err := r.store.Entry(id)
		if err != nil {
			return torn, fmt.Errorf("reading node %q: %w", id, err)
		}
		if !known || have.Removed || len(have.Edges) == 0 || have.Timestamp != nodes[id].Timestamp {
			continue
		}
		lacked, err := r.existing(without(have.Edges, nodes[id].Edges))
		if err != nil {
			return torn, err
		}
		if len(lacked) > 0 {
			torn = append(torn, id)
		}
	}
	return torn, nil
}

// learn applies an operation as a browser does that has these nodes.
func learn(nodes map[string]*Entry, op Op, now time.Time) {
	at := capped(op.Timestamp, now)
	e := nodes[op.ID]
	switch {
	case e != nil && !at.After(e.Timestamp):
	case op.Kind == Upsert && e == nil:
		nodes[op.ID] = &Entry{ID: op.ID, Timestamp: at}
	case op.Kind == Upsert:
		e.Timestamp = at
	case op.Kind == Remove:
		delete(nodes, op.ID)
	case op.Kind == Link && e != nil && nodes[op.Target] != nil:
		e.Edges, e.Timestamp = append(e.Edges, op.Target), at
	}
}

// Again gives a node new timestamps, a little above its own, so that what others write meanwhile
// wins, and returns the operations that bring it with all its edges to everybody; none if
// there is no such node.
func (r *Replica) Again(id string) ([]Op, error) {
	e, known, err := r.store.Entry(id)
	if err != nil || !known || e.Removed {
		return nil, err
	}
	edges, err := r.existing(e.Edges)
	if err != nil {
		return nil, err
	}
	at := e.Timestamp
	next := func() Timestamp {
		if at.Logical++; at.Logical > maxInteger {
			at = Timestamp{Physical: at.Physical + 1}
		}
		return at
	}
	ops := []Op{{Kind: Upsert, ID: id, Value: e.Value, Timestamp: next(), Extra: e.Extra}}
	for _, target := range edges {
		ops = append(ops, Op{Kind: Link, ID: id, Target: target, Timestamp: next()})
	}
	e.Timestamp, e.Live = at, false
	return ops, r.set(e)
}

// existing are the ids of nodes that exist.
func (r *Replica) existing(ids []string) (there []string, err error) {
	for _, id := range ids {
		exists, err := r.exists(id)
		if err != nil {
			return there, err
		}
		if exists {
			there = append(there, id)
		}
	}
	return there, nil
}

// without are the ids that are not among others.
func without(ids, others []string) []string {
	have := make(map[string]bool, len(others))
	for _, id := range others {
		have[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return have[id] })
}
