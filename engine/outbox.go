package engine

import (
	"sync"
	"sync/atomic"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// outbox is what waits to be written to a link, and what was written but not
// acknowledged by the other end. Within a channel it is first in, first out; the
// channels take turns of as many bytes as a full frame has (deficit round robin,
// Shreedhar and Varghese, 1995), so that a large message on one delays the others
// by one frame at most, and small messages need no turn each. What waits is
// bounded in bytes: a message that does not fit is refused. What is under way is
// bounded by the window.
//
// A goroutine writes it, which ends as soon as it would have to wait, and which
// signal starts again: an idle link has none.
type outbox struct {
	link  *link
	limit int
	turn  int // bytes, at least those of one frame
	// What window knows, in bytes that were written to the link.
	sent, acked atomic.Int64

	// What follows is of run, and of end after it.
	window window
	under  []written // way: not acknowledged, oldest first
	broken *outgoing // whose last frame the transport refused

	mu      sync.Mutex
	first   *lane // of those with something to send, whose turn is next
	last    *lane
	lanes   map[string]*lane
	spare   *lane // an empty one, for the next channel
	bytes   int
	opened  bool
	ended   bool
	writing bool          // run runs
	failed  bool          // and will not any more
	again   bool          // it is to look once more before it ends
	stopped chan struct{} // made by end, if it has to wait for run
}

// waits is the number of bytes that wait to be written.
func (o *outbox) waits() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// written is a frame under way.
type written struct {
	m   *outgoing
	end int64 // position in all that was written to the link
}

// lane is a channel with something to send.
type lane struct {
	channel     string
	credit      int // bytes that are left of its turns
	first, last *outgoing
	next        *lane // in turn
}

// outgoing is one message on its way to one link.
type outgoing struct {
	channel string
	frames  [][]byte // shared with other links
	total   int      // frames
	sent    int      // frames, to the present link
	acked   int      // frames, by it
	next    *outgoing
	// seat hears what becomes of it; nil for messages of the engine's own. These end with
	// the link, unless they wait for the next.
	seat     *Seat
	waits    bool
	ref      uint64
	progress bool
	delivery *delivery
	// report is told of frames that passed, and of the end of the link before
	// all of them did. It must not wait if the message may wait for a link: then the actor
	// calls it.
	report func(frames int, err error)
	told   int // frames, that progress was reported of

	redeliver bool
	barrier   uint64 // see unconfirmed
}

func (m *outgoing) size() int {
	size := 0
	for _, f := range m.frames {
		size += len(f)
	}
	return size
}

// cost is the memory, in bytes, that the message is counted with where it may
// stay for long.
func (m *outgoing) cost() int { return eventCost + m.size() }

// failed tells the sender that a recipient may not have got the message.
func (m *outgoing) failed(peer string, err error) {
	m.delivery.failed()
	if m.report != nil {
		m.report(0, err)
	}
	if m.seat != nil {
		m.seat.push(Result{m.ref, peer, err})
	}
}

func newOutbox(l *link, limit int) *outbox {
	return &outbox{link: l, limit: limit, turn: frame.MaxFrame}
}

// put queues a message. It fails with ErrPeerSlow when too much waits already,
// and with ErrPeerGone after the end.
func (o *outbox) put(channel string, m *outgoing) error {
	size := m.size()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return ErrPeerGone
	case o.bytes > 0 && o.bytes+size > o.limit:
		return ErrPeerSlow
	}
	o.add(channel, m, size)
	o.wake()
	return nil
}

// refill queues what an earlier link left, in order, whatever its size: it is
// bounded already.
func (o *outbox) refill(messages []*outgoing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range messages {
		m.sent, m.acked, m.next = 0, 0, nil
		o.add(m.channel, m, m.size())
	}
	o.wake()
}

func (o *outbox) add(channel string, m *outgoing, size int) {
	m.total = len(m.frames)
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
}

// lane makes the lane of a channel that has none.
func (o *outbox) lane(channel string) *lane {
	q := o.spare
	if o.spare = nil; q == nil {
		q = new(lane)
	}
	q.channel, q.credit = channel, o.turn
	if o.lanes == nil {
		o.lanes = make(map[string]*lane)
	}
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

// open has what is put from now on, and was before, be written.
func (o *outbox) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = true
	if o.first != nil {
		o.wake()
	}
}

// signal has the writer look at the link and at what waits.
func (o *outbox) signal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
}

// wake is signal. It needs the lock.
func (o *outbox) wake() {
	switch {
	case o.writing:
		o.again = true
	case o.opened && !o.ended && !o.failed:
		o.writing = true
		go o.run()
	}
}

// rest reports whether the writer is to end: in any case if it is over. It is started
// again by wake.
func (o *outbox) rest(over bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again && !over {
		o.again = false
		return false
	}
	if len(o.under) == 0 && cap(o.under)+cap(o.window.samples) > 16 { // an idle link holds little
		o.under, o.window.samples = nil, nil
	}
	if o.writing, o.failed = false, over; o.stopped != nil {
		close(o.stopped) // from here on all is of end
	}
	return true
}

// run writes until it would have to wait, until the end, or until the transport
// fails.
func (o *outbox) run() {
	t := o.link.half()
	for {
		o.settle(t)
		wakeAt := -1
		if size := o.window.size(); o.held() >= size {
			wakeAt = size - 1
			if o.over() {
				o.rest(true)
				return
			}
		} else if more, over := o.write(t, size); over {
			o.rest(true)
			return
		} else if more {
			continue
		}
		if len(o.under) > 0 { // at the latest when the first has arrived
			wakeAt = max(wakeAt, int(o.window.sent-o.under[0].end))
		}
		if wakeAt >= 0 {
			t.WakeAt(wakeAt)
			if t.Buffered() <= wakeAt {
				continue // fell meanwhile
			}
		}
		if o.rest(false) {
			return
		}
	}
}

// write writes a turn, unless the window is full before. It reports whether
// there may be more to write, and whether it is over.
func (o *outbox) write(t Link, window int) (more, over bool) {
	for end := o.window.sent + int64(o.turn); o.window.sent < end && o.held() < window; {
		m, f, ended := o.pop()
		if m == nil {
			o.window.idle()
			return false, ended
		}
		if err := t.Send(f); err != nil {
			if m.sent == m.total {
				o.broken = m
			}
			o.link.close(err)
			return false, true
		}
		o.link.sent(len(f))
		o.window.send(o.link.room.now(), len(f))
		o.sent.Store(o.window.sent)
		o.under = append(o.under, written{m, o.window.sent})
		if m.sent == m.total {
			o.link.remember(m)
		}
	}
	return true, false
}

// held is what the transport holds, by what was last seen.
func (o *outbox) held() int { return int(o.window.sent - o.window.acked) }

// settle looks at what the transport has had acknowledged, and reports the
// progress of the frames that have arrived.
func (o *outbox) settle(t Link) {
	buffered := t.Buffered()
	o.window.ack(o.link.room.now(), buffered)
	o.acked.Store(o.window.acked)
	n := 0
	for n < len(o.under) && o.under[n].end <= o.window.acked {
		o.under[n].m.passed(o.link.pair.remote)
		o.under[n].m = nil
		n++
	}
	o.under = o.under[n:]
	if buffered == 0 {
		o.link.unconfirmed.acknowledged()
	}
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
	if o.ended || o.first == nil {
		return nil, nil, o.ended
	}
	q := o.first
	for ; len(q.first.frames[q.first.sent]) > q.credit; q = o.first {
		q.credit += o.turn
		o.leave(q)
		o.queue(q)
	}
	m = q.first
	f = m.frames[m.sent]
	m.sent++
	o.bytes -= len(f)
	q.credit -= len(f)
	if m.sent < len(m.frames) {
		return m, f, false
	}
	if q.first = m.next; q.first == nil {
		o.leave(q)
		delete(o.lanes, q.channel)
		*q = lane{}
		o.spare = q
	}
	return m, f, false
}

// leave takes the first lane out of the turns.
func (o *outbox) leave(q *lane) { o.first, q.next = q.next, nil }

// passed reports progress after a frame was acknowledged by the other end's
// transport.
func (m *outgoing) passed(peer string) {
	m.acked++
	if m.report != nil {
		m.report(m.acked, nil)
	}
	if m.seat != nil && m.progress && m.acked > m.told {
		m.told = m.acked
		m.seat.push(Progress{Ref: m.ref, Peer: peer, Fraction: float64(m.acked) / float64(m.total)})
	}
}

// end empties the outbox for good. It returns what was not written entirely,
// first in, first out within each channel.
func (o *outbox) end() []*outgoing {
	o.mu.Lock()
	o.ended = true
	first := o.first
	o.lanes, o.first, o.last, o.spare, o.bytes = nil, nil, nil, nil, 0
	if o.writing {
		o.stopped = make(chan struct{})
	}
	stopped := o.stopped
	o.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	if o.sent.Load() > 0 {
		o.settle(o.link.half()) // what was acknowledged last
	}
	var left []*outgoing
	if o.broken != nil {
		left = append(left, o.broken)
	}
	for q := first; q != nil; q = q.next {
		for m := q.first; m != nil; m = m.next {
			left = append(left, m)
		}
	}
	return left
}
