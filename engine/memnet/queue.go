package memnet

import (
	"sync"
	"time"
)

// queue hands over what is put into it, each at its time or later, in order and
// one after the other. The time until then is the schedule's, the handing over the
// crew's.
type queue[T any] struct {
	schedule *schedule
	take     func(T)

	mu    sync.Mutex
	items []timed[T]
	held  bool
	ended bool
	busy  bool // a goroutine hands over
	armed bool // the schedule will look
}

type timed[T any] struct {
	item T
	at   time.Time
}

// put returns the number of items that wait. After the end it does nothing.
func (q *queue[T]) put(item T, at time.Time) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.items = append(q.items, timed[T]{item, at})
		q.start()
	}
	return len(q.items)
}

// start has what is due be handed over. It needs the lock.
func (q *queue[T]) start() {
	switch {
	case q.busy || q.armed || q.held || len(q.items) == 0:
	case q.due():
		q.busy = true
		q.schedule.crew.do(q)
	default:
		q.armed = true
		q.schedule.at(q.items[0].at, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.armed = false
			q.start()
		})
	}
}

func (q *queue[T]) due() bool { return !q.items[0].at.After(q.schedule.clock.Now()) }

func (q *queue[T]) run() {
	for {
		item, ok := q.next()
		if !ok {
			return
		}
		q.take(item)
	}
}

func (q *queue[T]) next() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held || len(q.items) == 0 || !q.due() {
		q.busy = false
		q.start()
		return item, false
	}
	item = q.items[0].item
	q.items[0] = timed[T]{}
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil // most are idle
	}
	return item, true
}

// hold stops the queue, or lets it go on.
func (q *queue[T]) hold(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = on
	q.start()
}

// end gives up what waits. Something may be being handed over yet.
func (q *queue[T]) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.items = true, nil
}
