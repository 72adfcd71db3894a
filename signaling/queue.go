package signaling

import (
	"context"
	"slices"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// queue carries signaling messages, first in first out, from any goroutine to
// one. It holds at most limit messages. Beyond that the message of the least
// worth is lost, in the order of engine.SignalKind: announces first, as they
// are repeated, then byes, then offers and answers; among equals the oldest.
type queue[T any] struct {
	limit int
	// wake has one slot. It is filled when there is something to do for the
	// goroutine that reads.
	wake chan struct{}

	mu     sync.Mutex
	items  []queued[T]
	closed bool
}

type queued[T any] struct {
	kind engine.SignalKind
	// key names what the message is about. A message replaces the older one
	// with its key, in its place: of a peer's announces and byes only the last
	// counts. Messages without a key stand for themselves.
	key   string
	value T
}

func newQueue[T any](limit int) *queue[T] {
	return &queue[T]{limit: limit, wake: make(chan struct{}, 1)}
}

// push adds a message and tells which kind of message was lost for it, perhaps
// itself; 0 if none was. A closed queue takes none.
func (q *queue[T]) push(kind engine.SignalKind, key string, value T) (lost engine.SignalKind) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return kind
	}
	defer q.poke()
	item := queued[T]{kind, key, value}
	if key != "" {
		if i := slices.IndexFunc(q.items, func(old queued[T]) bool { return old.key == key }); i >= 0 {
			q.items[i] = item
			return 0
		}
	}
	q.items = append(q.items, item)
	if len(q.items) <= q.limit {
		return 0
	}
	least := 0
	for i := range q.items {
		if q.items[i].kind < q.items[least].kind {
			least = i
		}
	}
	lost = q.items[least].kind
	q.items = slices.Delete(q.items, least, least+1)
	return lost
}

// pop takes the first message whose kind is least or more.
func (q *queue[T]) pop(least engine.SignalKind) (value T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, item := range q.items {
		if item.kind >= least {
			q.items = slices.Delete(q.items, i, i+1)
			return item.value, true
		}
	}
	return value, false
}

// next waits for a message. It returns false when ctx has ended, or when the
// queue is closed and empty.
func (q *queue[T]) next(ctx context.Context) (value T, ok bool) {
	for ctx.Err() == nil {
		// Asked first: nothing is pushed after close.
		closed := q.isClosed()
		if value, ok = q.pop(0); ok || closed {
			return value, ok
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	return value, false
}

// clear empties the queue and returns how many messages were lost.
func (q *queue[T]) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items)
	q.items = nil
	return n
}

// close lets the queue take no more messages. Those in it stay.
func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue[T]) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// poke wakes the reader.
func (q *queue[T]) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
