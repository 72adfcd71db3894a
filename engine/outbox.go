package engine

import (
	"sync"
	"sync/atomic"
)

// outbox is what waits to be written to a link, and what was written but not
// acknowledged by the other end. Within a channel it is first in, first out; the
// channels take turns, one frame each, so that a large message on one delays
// the others by one frame at most. What waits is bounded in bytes: a message
// that does not fit is refused. What is under way is bounded by the window.
type outbox struct {
	link   *link
	limit  int
	window window // of run
	// What window knows, in bytes that were written to the link.
	sent, acked atomic.Int64

	mu    sync.Mutex
	first *lane // of those with something to send, whose turn is next
	last  *lane
	lanes map[string]*lane
	spare *lane // an empty one, for the next channel
	bytes int
	under []written // way, oldest first
	ended bool
	// wake has room for one token: something was put, the link is writable
	// again, or the end has come.
	wake chan struct{}
}

// written is a frame under way.
type written struct {
	m    *outgoing
	last bool  // of its message
	end  int64 // position in all that was written to the link
}

// lane is a channel with something to send.
type lane struct {
	channel     string
	first, last *outgoing
	next        *lane // in turn
}

// outgoing is one message on its way to one link.
type outgoing struct {
	frames [][]byte // shared with other links
	sent   int      // frames
	acked  int      // frames
	next   *outgoing
	// seat hears what becomes of it; nil for messages of the engine's own.
	seat     *Seat
	ref      uint64
	progress bool
	// report is told of frames that passed, and of the end of the link before
	// all of them did.
	report   func(frames int, err error)
	delivery *delivery
}

func newOutbox(l *link, limit int) *outbox {
	return &outbox{link: l, limit: limit, lanes: make(map[string]*lane), wake: make(chan struct{}, 1)}
}

// put queues a message. It fails with ErrPeerSlow when too much waits already,
// and with ErrPeerGone after the end.
func (o *outbox) put(channel string, m *outgoing) error {
	size := 0
	for _, f := range m.frames {
		size += len(f)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return ErrPeerGone
	case o.bytes > 0 && o.bytes+size > o.limit:
		return ErrPeerSlow
	}
	o.bytes += size
	q := o.lanes[channel]
	if q == nil {
		q = o.lane(channel)
		o.queue(q)
	}
	if q.first == nil {
		q.first = m
	} else {
		q.last.next = m
	}
	q.last = m
	o.signal()
	return nil
}

// lane makes the lane of a channel that has none.
func (o *outbox) lane(channel string) *lane {
	q := o.spare
	if o.spare = nil; q == nil {
		q = new(lane)
	}
	q.channel = channel
	o.lanes[channel] = q
	return q
}

// queue gives a lane the last turn.
func (o *outbox) queue(q *lane) {
	if o.first == nil {
		o.first = q
	} else {
		o.last.next = q
	}
	o.last = q
}

func (o *outbox) writable() { o.signal() }

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run writes until the end.
func (o *outbox) run() {
	t := o.link.half()
	for {
		now, buffered := o.link.room.now(), t.Buffered()
		o.window.ack(now, buffered)
		o.acked.Store(o.window.acked)
		o.acknowledge()
		wakeAt := -1
		if size := o.window.size(); buffered < size {
			m, f, ended := o.pop()
			if ended {
				return
			}
			if m != nil {
				if err := t.Send(f); err != nil {
					o.link.close(err)
				}
				o.link.sent(len(f))
				o.window.send(now, len(f))
				o.sent.Store(o.window.sent)
				o.wrote(m)
				continue
			}
			o.window.idle()
		} else {
			wakeAt = size - 1
			if o.over() {
				return
			}
		}
		if wakeAt = max(wakeAt, o.unacked()); wakeAt >= 0 {
			t.WakeAt(wakeAt)
			if t.Buffered() <= wakeAt {
				continue // fell meanwhile
			}
		}
		<-o.wake
	}
}

// wrote notes a frame of a message that was written, the latest one popped.
func (o *outbox) wrote(m *outgoing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.under = append(o.under, written{m, m.sent == len(m.frames), o.window.sent})
	}
}

// unacked is the number of bytes from the end of the first frame under way to
// the end of the last: when no more is buffered, the first was acknowledged. It
// is -1 if none is under way.
func (o *outbox) unacked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.under) == 0 {
		return -1
	}
	return int(o.window.sent - o.under[0].end)
}

// acknowledge reports the progress of the frames that have arrived.
func (o *outbox) acknowledge() {
	o.mu.Lock()
	n := 0
	for n < len(o.under) && o.under[n].end <= o.window.acked {
		n++
	}
	arrived := o.under[:n]
	o.under = o.under[n:]
	o.mu.Unlock()
	for _, a := range arrived {
		a.m.passed(o.link.pair.remote)
	}
	clear(arrived)
}

func (o *outbox) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// pop takes the next frame, nil if there is none.
func (o *outbox) pop() (m *outgoing, f []byte, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.first
	if o.ended || q == nil {
		return nil, nil, o.ended
	}
	m = q.first
	f = m.frames[m.sent]
	m.sent++
	o.bytes -= len(f)
	if m.sent == len(m.frames) {
		q.first = m.next
	}
	o.first, q.next = q.next, nil
	if q.first != nil {
		o.queue(q)
		return m, f, false
	}
	delete(o.lanes, q.channel)
	*q = lane{}
	o.spare = q
	return m, f, false
}

// passed reports progress after a frame was acknowledged by the other end's
// transport.
func (m *outgoing) passed(peer string) {
	m.acked++
	if m.report != nil {
		m.report(m.acked, nil)
	}
	if m.acked == len(m.frames) {
		m.delivery.passed()
	}
	if m.seat != nil && m.progress {
		m.seat.push(Progress{Ref: m.ref, Peer: peer, Fraction: float64(m.acked) / float64(len(m.frames))})
	}
}

// end empties the outbox for good and tells the senders: also those of messages
// that were written whole but may not have arrived.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	lanes, under := o.lanes, o.under
	o.lanes, o.under, o.first, o.last, o.spare, o.bytes = nil, nil, nil, nil, nil, 0
	o.signal()
	o.mu.Unlock()
	for _, w := range under {
		if w.last {
			w.m.lost(o.link.pair.remote)
		}
	}
	for _, q := range lanes {
		for m := q.first; m != nil; m = m.next {
			m.lost(o.link.pair.remote)
		}
	}
}

func (m *outgoing) lost(peer string) {
	if m.report != nil {
		m.report(0, ErrPeerGone)
	}
	m.delivery.failed()
	if m.seat != nil {
		m.seat.push(Result{m.ref, peer, ErrPeerGone})
	}
}
