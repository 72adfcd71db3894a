package relay

import (
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// message is the part of a message that all its receivers share.
type message struct {
	tail     []byte       // an event's JSON with the closing bracket, or a whole reply
	event    *nostr.Event // nil for a reply
	announce bool         // may be dropped first: it will be repeated
}

// delivery is a message on its way to one receiver. sub is nil for a reply.
type delivery struct {
	sub *subscription
	msg *message
}

func (d delivery) message() Message {
	if d.sub == nil {
		return Message{Tail: d.msg.tail}
	}
	return Message{Head: d.sub.head, Tail: d.msg.tail}
}

func (d delivery) size() int {
	if d.sub == nil {
		return len(d.msg.tail)
	}
	return len(d.sub.head) + len(d.msg.tail)
}

// outcome is what became of a delivery that was pushed.
type outcome struct {
	droppedAnnounces int
	droppedEvents    int
	full             time.Duration // for how long the queue has been full, if it is
}

// queue holds what waits for one receiver, in order, as references. It has
// several producers and one consumer, which takes batches.
//
// Overflow policy: when there is no room, announces are dropped first, those in
// the queue as well as a new one, because their senders repeat them; then new
// events are dropped. Replies are never dropped: the connection's own reader
// waits for room, so that a client which does not read its answers is not read
// from either. What was taken and is still being written counts as waiting.
type queue struct {
	mu     sync.Mutex
	ready  sync.Cond // something to take, or the end
	room   sync.Cond // room for a reply, or the end
	closed bool      // nothing may be pushed any more

	items    []delivery // waiting: items[head:]
	head     int
	bytes    int // waiting or being written
	inFlight int // messages being written
	maxBytes int
	maxItems int

	fullSince time.Time // zero: not full
}

// keepItems is the capacity that an empty queue keeps: enough for a sparse
// stream without allocations, little for thousands of idle connections.
const keepItems = 128

func newQueue(maxBytes, maxItems int) *queue {
	q := &queue{maxBytes: maxBytes, maxItems: maxItems}
	q.ready.L, q.room.L = &q.mu, &q.mu
	return q
}

// push queues an event, or drops what the overflow policy says. It never waits.
func (q *queue) push(d delivery) (o outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || d.sub.ended {
		return o
	}
	size := d.size()
	if !q.fits(size) {
		if q.fullSince.IsZero() {
			q.fullSince = time.Now()
		}
		o.full = time.Since(q.fullSince)
		if d.msg.announce {
			o.droppedAnnounces = 1
			return o
		}
		o.droppedAnnounces = q.dropAnnounces()
		if !q.fits(size) {
			o.droppedEvents = 1
			return o
		}
	}
	q.append(d, size)
	return o
}

// reply queues an answer to the connection's own reader, and waits until there
// is room. It returns how many announces were dropped for it.
func (q *queue) reply(m *message) (droppedAnnounces int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := len(m.tail)
	if !q.closed && !q.fits(size) {
		droppedAnnounces = q.dropAnnounces()
	}
	for !q.closed && !q.fits(size) {
		q.room.Wait()
	}
	if !q.closed {
		q.append(delivery{msg: m}, size)
	}
	return droppedAnnounces
}

// fits always lets one message into an empty queue.
func (q *queue) fits(size int) bool {
	waiting := len(q.items) - q.head + q.inFlight
	return waiting == 0 || waiting < q.maxItems && q.bytes+size <= q.maxBytes
}

func (q *queue) append(d delivery, size int) {
	if len(q.items) == cap(q.items) && q.head > 0 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, d)
	q.bytes += size
	q.ready.Signal()
}

func (q *queue) dropAnnounces() (dropped int) {
	kept := q.items[:q.head]
	for _, d := range q.items[q.head:] {
		if d.msg.announce {
			dropped++
			q.bytes -= d.size()
		} else {
			kept = append(kept, d)
		}
	}
	clear(q.items[len(kept):])
	q.items = kept
	return dropped
}

// wait waits until there is something to take. It returns false at the end.
func (q *queue) wait() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head == len(q.items) && !q.closed {
		q.ready.Wait()
	}
	return q.head < len(q.items)
}

// Bounds of a batch. They keep the overflow policy effective, which cannot
// reach what was taken, and a write short.
const (
	batchBytes    = 64 << 10
	batchMessages = 256
)

// take appends a batch of what waits to buf. The consumer must say done before
// it takes the next.
func (q *queue) take(buf []delivery) []delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for q.head < len(q.items) && len(buf) < batchMessages {
		d := q.items[q.head]
		if size += d.size(); size > batchBytes && len(buf) > 0 {
			break
		}
		buf = append(buf, d)
		q.items[q.head] = delivery{}
		q.head++
	}
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > keepItems {
			q.items = nil
		}
	}
	q.inFlight = len(buf)
	return buf
}

// done says that a batch was written.
func (q *queue) done(batch []delivery) {
	size := 0
	for _, d := range batch {
		size += d.size()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = 0
	q.bytes -= size
	if q.bytes <= q.maxBytes/2 && len(q.items)-q.head <= q.maxItems/2 {
		q.fullSince = time.Time{}
	}
	q.room.Broadcast()
}

// end lets nothing more in for a subscription that was closed or replaced.
func (q *queue) end(sub *subscription) {
	q.mu.Lock()
	defer q.mu.Unlock()
	sub.ended = true
}

// close discards what waits, queues last if there is any, and ends the queue
// once that is taken.
func (q *queue) close(last ...*message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	for _, d := range q.items[q.head:] {
		q.bytes -= d.size()
	}
	q.items, q.head = nil, 0
	for _, m := range last {
		q.append(delivery{msg: m}, len(m.tail))
	}
	q.ready.Broadcast()
	q.room.Broadcast()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
