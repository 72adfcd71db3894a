package client

import (
	"context"
	"fmt"
	"iter"
)

// What a watch may have waiting for the application. With more it is ended at the
// server, and begun again where it ended once the application has caught up.
const (
	watchNodes = 1024
	watchBytes = 4 << 20
)

// WatchOptions say what a watch begins with; the zero value with what changes from
// now on.
type WatchOptions struct {
	// Prefix of the ids of the nodes.
	Prefix string
	// After is the Seq of the last change that is known: what changed since comes
	// first.
	After uint64
	// Whole asks for the whole graph first, with its nodes in the order of their
	// last change.
	Whole bool
}

// Change is a node that was changed or removed. Of one that changed several times
// while nobody listened there is the last change. Its Seq can be kept, to go on from
// there: all that changed before it has come.
type Change struct {
	Node
	// UpToDate says that all that there was when the watch began has come. It comes
	// once, with no node but a Seq.
	UpToDate bool
}

// Watch tells of the graph's changes, in their order, until ctx ends or the loop does.
// It goes on over lost connections, and misses nothing; then nodes may come again, and
// removals of nodes that never came. It ends with an error, the last that it yields.
// A session can have 16 watches.
func (g *Graph) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := &watching{room: g.room, prefix: o.Prefix, arrival: make(chan struct{}, 1), idle: true}
		if o.Whole || o.After > 0 {
			w.after = &o.After
		}
		if o.Whole {
			w.after = new(uint64)
		}
		defer w.stop()
		for {
			c, err := w.next(ctx)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// watching is a watch. Guarded by Room.mu.
type watching struct {
	room    *Room
	prefix  string
	id      *uint64
	after   *uint64 // nil: from now on
	idle    bool    // the server knows nothing of it
	current bool    // UpToDate was told
	queue   []waitingChange
	bytes   int
	arrival chan struct{} // has a token when the queue is not empty
	err     error
}

type waitingChange struct {
	Change
	size int
}

func (w *watching) frame() *frame {
	return &frame{Op: opWatch, ID: w.id, Prefix: w.prefix, After: w.after}
}

// next is the next change. When there is none, and the watch was ended as there were
// too many, it is begun again.
func (w *watching) next(ctx context.Context) (Change, error) {
	r := w.room
	for {
		r.mu.Lock()
		if len(w.queue) > 0 {
			c := w.queue[0]
			w.queue[0] = waitingChange{}
			w.queue = w.queue[1:]
			w.bytes -= c.size
			r.mu.Unlock()
			return c.Change, nil
		}
		err := w.err
		if err == nil && w.idle {
			w.idle = false
			w.id = r.graph.next()
			r.graph.watches[*w.id] = w
			if r.conn != nil {
				r.conn.post(w.frame())
			}
		}
		r.mu.Unlock()
		if err != nil {
			return Change{}, err
		}
		select {
		case <-w.arrival:
		case <-r.ctx.Done():
			return Change{}, r.Err()
		case <-ctx.Done():
			return Change{}, fmt.Errorf("client: watch: %w", ctx.Err())
		}
	}
}

// take queues what the server says of the watch.
func (w *watching) take(f *frame, size int) {
	defer signal(w.arrival)
	switch f.Op {
	case opError:
		w.err = &GraphError{f.Code, f.Text}
		delete(w.room.graph.watches, *w.id)
		return
	case opWatch:
		w.after = new(f.Seq)
		if w.current {
			return
		}
		w.current = true
		w.queue = append(w.queue, waitingChange{Change{Node: Node{Seq: f.Seq}, UpToDate: true}, size})
	case opNode:
		w.after = new(f.Seq)
		w.queue = append(w.queue, waitingChange{Change{Node: f.node()}, size})
	}
	w.bytes += size
	if len(w.queue) >= watchNodes || w.bytes >= watchBytes {
		w.end()
	}
}

// end ends the watch at the server. Needs Room.mu.
func (w *watching) end() {
	if w.idle {
		return
	}
	w.idle = true
	delete(w.room.graph.watches, *w.id)
	if c := w.room.conn; c != nil {
		c.post(&frame{Op: opUnwatch, ID: w.id})
	}
}

func (w *watching) stop() {
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	w.end()
}
