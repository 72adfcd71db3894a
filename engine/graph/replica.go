package graph

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Store holds the entries of a graph.
type Store interface {
	// Entry returns what is known of an id, what was set but is not on the disk yet
	// included, and whether anything is.
	Entry(id string) (Entry, bool, error)
	// Set stages an entry; the store gives it its Seq.
	Set(e Entry) error
}

// MaxAhead is how far a timestamp may be ahead of the clock; what is further is cut
// to that, as browsers do.
const MaxAhead = 2 * time.Hour

// MaxEdges is the number of edges that a node can get by links: each writes all of them.
const MaxEdges = 16_384

// ErrEdges is the error of a link beyond MaxEdges.
var ErrEdges = fmt.Errorf("a node can have %d edges", MaxEdges)

// ErrMissing is the error of a change that needs a node which does not exist.
var ErrMissing = errors.New("there is no such node")

// Replica applies operations to a Store by the rules of docs/protocol.md, "Sync". It
// is for one goroutine.
type Replica struct {
	store Store
	last  Timestamp
}

// NewReplica goes on where a Replica of the same Store stopped, whose Last was last.
func NewReplica(s Store, last Timestamp) *Replica { return &Replica{store: s, last: last} }

// Last is the highest timestamp that was applied. It is to be saved together with the
// entries.
func (r *Replica) Last() Timestamp { return r.last }

// Outcome is what became of an operation.
type Outcome uint8

// The outcomes of an operation.
const (
	// Applied: the graph has changed.
	Applied Outcome = iota
	// Stale: what is known is newer, or the same.
	Stale
	// Buried: an upsert of a node that was removed later, or a link of one that was
	// removed. Whoever sent it does not know of that: the removal is to be sent to all
	// (Removal).
	Buried
	// Missing: a link of a node that is not known, or a removal without timestamp. If it was
	// live, its sender has a node that we lack.
	Missing
)

// Apply applies an operation that was received. live tells that it came as it was made,
// and not in an answer.
func (r *Replica) Apply(op Op, now time.Time, live bool) (Outcome, error) {
	op.Timestamp = capped(op.Timestamp, now)
	have, known, err := r.store.Entry(op.ID)
	if err != nil {
		return Stale, fmt.Errorf("reading node %q: %w", op.ID, err)
	}
	next := Entry{ID: op.ID, Timestamp: op.Timestamp, Live: live, Extra: op.Extra}
	switch op.Kind {
	case Upsert:
		next.Value = op.Value
		if known {
			if !wins(&next, &have) {
				if have.Removed {
					return Buried, nil
				}
				return Stale, nil
			}
			next.Edges = have.Edges
		}
	case Remove:
		next.Removed = true
		if !known && op.Timestamp.IsZero() {
			return Missing, nil
		}
		// The removal of an unknown node is kept: an older upsert may be under way.
		if known && !wins(&next, &have) {
			return Stale, nil
		}
	case Link:
		if known && have.Removed && op.Timestamp.After(have.Timestamp) {
			// Its sender still has the node, and takes a newer removal only.
			r.saw(op.Timestamp)
			_, err := r.own(Op{Kind: Remove, ID: op.ID}, now)
			return Buried, err
		}
		// Its target may still be under way.
		if !known || have.Removed {
			return Missing, nil
		}
		if len(have.Edges) >= MaxEdges {
			return Stale, fmt.Errorf("link of node %q: %w", op.ID, ErrEdges)
		}
		next.Value, next.Extra = have.Value, have.Extra
		next.Edges = union(have.Edges, op.Target)
		if !op.Timestamp.After(have.Timestamp) {
			// A live one crossed what is newer: the edge is new all the same. In an answer it may
			// be of an earlier node of this id.
			if !live || len(next.Edges) == len(have.Edges) {
				return Stale, nil
			}
			next.Timestamp = have.Timestamp
		}
	default:
		return Missing, nil
	}
	return Applied, r.set(next)
}

// Merge merges a full state: of each node the newer one, with its value, stays, and
// removals that are newer. Edges that are known stay, as there is no operation that
// removes one. It returns the removals of nodes that the sender still has and that were
// removed later: they are to be sent to all. What cannot be kept it leaves out, goes on,
// and returns the first error.
func (r *Replica) Merge(full *FullState, now time.Time) (buried []Op, err error) {
	removed := make(map[string]Timestamp, len(full.Removals))
	for _, op := range full.Removals {
		removed[op.ID] = op.Timestamp
	}
	for _, e := range full.Nodes {
		e.Timestamp = capped(e.Timestamp, now)
		have, known, failed := r.store.Entry(e.ID)
		if failed != nil {
			err = cmp.Or(err, fmt.Errorf("reading node %q: %w", e.ID, failed))
			continue
		}
		if known && have.Removed && !wins(&e, &have) {
			buried = append(buried, have.removal())
			continue
		}
		next, changed := merged(have, e, known, removed[e.ID])
		if !changed {
			continue
		}
		err = cmp.Or(err, r.set(next))
	}
	for _, op := range full.Removals {
		if op.Kind != Remove {
			continue
		}
		_, failed := r.Apply(op, now, false)
		err = cmp.Or(err, failed)
	}
	return buried, err
}

// merged is a node of a full state together with what is known of it, and whether that
// changes. removed is when the sender removed an earlier node of that id.
func merged(have, e Entry, known bool, removed Timestamp) (next Entry, changed bool) {
	e.Live = false
	if !known || have.Removed {
		return e, true
	}
	if e.Timestamp.Compare(have.Timestamp) < 0 {
		return have, false
	}
	if e.Timestamp == have.Timestamp {
		next = have
		next.Edges = union(have.Edges, e.Edges...)
		next.Live = false
		if wins(&e, &have) {
			next.Value, next.Extra = e.Value, e.Extra
			return next, true
		}
		return next, len(next.Edges) != len(have.Edges)
	}
	if !removed.After(have.Timestamp) {
		e.Edges = union(e.Edges, have.Edges...)
	}
	return e, true
}

// wins tells whether an entry replaces another of the same id: it is newer. Of two with
// the same timestamp a node wins against a removal, as in browsers, and of two nodes
// the greater value: replicas must choose the same, whichever came first. (Browsers keep
// what they have.)
func wins(e, have *Entry) bool {
	if c := e.Timestamp.Compare(have.Timestamp); c != 0 {
		return c > 0
	}
	return !e.Removed && (have.Removed || string(e.Value) > string(have.Value))
}

// Removal returns the operation that removed a node, for those who do not know of it,
// and whether it is known.
func (r *Replica) Removal(id string) (Op, bool, error) {
	e, known, err := r.store.Entry(id)
	if err != nil {
		return Op{}, false, fmt.Errorf("reading node %q: %w", id, err)
	}
	return e.removal(), known && e.Removed, nil
}

func (e *Entry) removal() Op {
	return Op{Kind: Remove, ID: e.ID, Timestamp: e.Timestamp, Extra: e.Extra}
}

// Put sets a node's value, compact JSON, now. It returns the operation for the others.
func (r *Replica) Put(id string, value json.RawMessage, now time.Time) (Op, error) {
	return r.own(Op{Kind: Upsert, ID: id, Value: value}, now)
}

// Remove removes a node now. It fails with ErrMissing.
func (r *Replica) Remove(id string, now time.Time) (Op, error) {
	if there, err := r.exists(id); err != nil {
		return Op{}, err
	} else if !there {
		return Op{}, ErrMissing
	}
	return r.own(Op{Kind: Remove, ID: id}, now)
}

// Link adds an edge now. It fails with ErrMissing unless both nodes exist.
func (r *Replica) Link(source, target string, now time.Time) (Op, error) {
	for _, id := range []string{source, target} {
		if there, err := r.exists(id); err != nil {
			return Op{}, err
		} else if !there {
			return Op{}, ErrMissing
		}
	}
	return r.own(Op{Kind: Link, ID: source, Target: target}, now)
}

// own applies an operation of our own, with a new timestamp.
func (r *Replica) own(op Op, now time.Time) (Op, error) {
	op.Timestamp = r.last.next(now)
	// Our clock may be further ahead than MaxAhead if it was set back: our own
	// operation must be newer all the same.
	if ahead := time.UnixMilli(op.Timestamp.Physical); ahead.After(now) {
		now = ahead
	}
	_, err := r.Apply(op, now, true)
	return op, err
}

func (r *Replica) exists(id string) (bool, error) {
	e, known, err := r.store.Entry(id)
	if err != nil {
		return false, fmt.Errorf("reading node %q: %w", id, err)
	}
	return known && !e.Removed, nil
}

func (r *Replica) set(e Entry) error {
	if err := r.store.Set(e); err != nil {
		return fmt.Errorf("staging node %q: %w", e.ID, err)
	}
	r.saw(e.Timestamp)
	return nil
}

func (r *Replica) saw(t Timestamp) {
	if t.After(r.last) {
		r.last = t
	}
}

// union is a list of ids with more of them; the list stays as it is.
func union(ids []string, more ...string) []string {
	out := ids[:len(ids):len(ids)]
	if len(more) < 16 {
		for _, id := range more {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
		return out
	}
	return distinct(slices.Concat(ids, more))
}
