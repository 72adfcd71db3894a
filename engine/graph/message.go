package graph

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Batches returns the answer as messages of live operations, of about limit bytes of JSON
// each, or a little more than a single node needs. It ends with the first error.
//
// It is never a `fullStateSync`: of one, a browser notes no links in its log, and the answers
// that it gives from that log, to all, leave those without edges who have nothing yet.
//
// Who has got any number of them, the first of them first, lacks nothing that is not
// newer than the highest timestamp that it has applied, as NewAnswer understands it when
// asked again: nodes go in the order of their timestamps, and a link once both its nodes
// are out, in the same message as the later of them. As a link needs a newer timestamp
// than its source has, the parts of a node with edges get timestamps before the node's
// own, which the last part has: so a part of it is older than the whole.
func (a *Answer) Batches(limit int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &batches{Answer: a, limit: limit, yield: yield, todo: make(map[string]bool, len(a.items)),
			waiting: make(map[string][]string), partial: make(map[string]*parts)}
		if err := w.run(); err != nil && !w.stopped {
			yield(nil, err)
		}
	}
}

// manyLinks is the number of waiting links from which on they need not be in the same
// message as the node that they lead to.
const manyLinks = 256

// batches writes the messages of an Answer.
type batches struct {
	*Answer
	limit   int
	yield   func([]byte, error) bool
	stopped bool
	buf     []byte
	todo    map[string]bool     // nodes that are not out yet
	waiting map[string][]string // the sources of links, by the target, which is not out yet
	partial map[string]*parts   // nodes of which not all parts are out
}

// parts are those of a node with edges that are still to come: links, and then, if it
// is twice, the value once more.
type parts struct {
	item  *item
	links int
	twice bool
	// open: some links lead to nodes that are not known, so that it is not to be
	// taken for the whole.
	open bool
}

func (w *batches) run() error {
	for i := range w.items {
		if it := &w.items[i]; !it.removed {
			w.todo[it.id] = true
		}
	}
	var changed []item
	for i := range w.items {
		it := &w.items[i]
		e, same, err := w.entry(it)
		if err != nil {
			return err
		}
		if !same {
			// It may be newer than what follows: it goes last.
			changed = append(changed, *it)
			continue
		}
		if err := w.item(it, &e); err != nil || w.stopped {
			return err
		}
	}
	var entries []Entry
	for i := range changed {
		e, ok, err := w.fetch(changed[i].id)
		if err != nil {
			return fmt.Errorf("reading node %q: %w", changed[i].id, err)
		}
		if ok {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(x, y Entry) int { return cmp.Or(x.Timestamp.Compare(y.Timestamp), cmp.Compare(x.ID, y.ID)) })
	for i := range entries {
		e := &entries[i]
		it := &item{id: e.ID, timestamp: e.Timestamp, removed: e.Removed, edges: e.Edges, has: e.Timestamp}
		if err := w.item(it, e); err != nil || w.stopped {
			return err
		}
	}
	return w.rest()
}

// rest writes the last parts of nodes whose links wait for what was removed meanwhile.
func (w *batches) rest() error {
	left := slices.SortedFunc(maps.Values(w.partial), func(p, q *parts) int {
		return cmp.Or(p.item.timestamp.Compare(q.item.timestamp), cmp.Compare(p.item.id, q.item.id))
	})
	for _, p := range left {
		if p.open {
			continue
		}
		p.twice = true
		if err := w.finish(p); err != nil {
			return err
		}
		w.cut()
	}
	w.flush()
	return nil
}

// item writes what can go of an entry, and the links that waited for it.
func (w *batches) item(it *item, e *Entry) error {
	if it.removed {
		w.op(e.removal())
		w.cut()
		return nil
	}
	delete(w.todo, it.id)
	edges := w.served(e.Edges)
	in := w.waiting[it.id]
	delete(w.waiting, it.id)

	upsert := Op{Kind: Upsert, ID: it.id, Value: e.Value, Timestamp: it.timestamp, Extra: e.Extra}
	p := &parts{item: it, links: len(edges)}
	first := it.slot(0)
	p.twice = len(edges) > 0 && !first.After(it.has) || len(edges) == 0 && len(in) > manyLinks
	whole := len(edges) == 0 && !p.twice
	if !whole {
		upsert.Timestamp = first
		w.partial[it.id] = p
	}
	w.op(upsert)
	for _, source := range in {
		if err := w.link(source, it.id); err != nil {
			return err
		}
		if !whole {
			w.cut()
		}
	}
	for _, target := range edges {
		if _, known := w.live[target]; !known {
			p.open = true
			continue
		}
		if w.todo[target] {
			w.waiting[target] = append(w.waiting[target], it.id)
			continue
		}
		w.cut()
		if err := w.link(it.id, target); err != nil {
			return err
		}
	}
	if p.links == 0 {
		if err := w.finish(p); err != nil {
			return err
		}
	}
	w.cut()
	return nil
}

// link writes a link of a node that is out.
func (w *batches) link(source, target string) error {
	p := w.partial[source]
	if p == nil {
		return nil
	}
	op := Op{Kind: Link, ID: source, Target: target, Timestamp: p.item.slot(len(p.item.edges) - p.links + 1)}
	p.links--
	if p.links == 0 && !p.twice {
		op.Timestamp = p.item.slot(len(p.item.edges) + 1)
	}
	w.op(op)
	if p.links == 0 {
		return w.finish(p)
	}
	return nil
}

// finish writes the last part of a node.
func (w *batches) finish(p *parts) error {
	if w.partial[p.item.id] != p {
		return nil
	}
	delete(w.partial, p.item.id)
	if !p.twice {
		return nil
	}
	e, same, err := w.entry(p.item)
	if err == nil && same {
		w.op(Op{Kind: Upsert, ID: e.ID, Value: e.Value, Timestamp: p.item.slot(len(p.item.edges) + 1), Extra: e.Extra})
	}
	return err
}

// slot is the timestamp of a part of a node with n edges: the value has slot 0, an edge
// one of 1 to n, and slot n+1, the node's own timestamp, is that of the last part. They
// do not depend on how many edges are served, so that an answer that is given again
// agrees with what came of it the first time.
func (it *item) slot(i int) Timestamp {
	last := len(it.edges) + 1
	t, back := it.timestamp, uint64(last-i)
	switch {
	case t.Physical == 0 && t.Logical <= uint64(last):
		// There is no room below: the copy is newer than the original.
		return Timestamp{Logical: uint64(i) + 1}
	case back == 0:
		return t
	case t.Logical >= uint64(last):
		return Timestamp{Physical: t.Physical, Logical: t.Logical - back}
	default:
		// Logical times only ever grow, and browsers never reset theirs: a little
		// more than the node's is enough, and does no harm.
		return Timestamp{Physical: t.Physical - 1, Logical: t.Logical + 1 + uint64(i)}
	}
}

func (w *batches) op(op Op) {
	if w.buf == nil {
		w.buf = append(make([]byte, 0, w.limit+w.limit/4), '[')
	} else {
		w.buf = append(w.buf, ',')
	}
	w.buf = appendOp(w.buf, &op)
}

// cut ends the message if it is large enough.
func (w *batches) cut() {
	if len(w.buf) >= w.limit {
		w.flush()
	}
}

func (w *batches) flush() {
	if w.buf != nil && !w.stopped {
		w.stopped = !w.yield(append(w.buf, ']'), nil)
	}
	w.buf = nil
}
