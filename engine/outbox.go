package engine

import "sync"

// outbox is what waits to be written to a link. Within a channel it is first
// in, first out; the channels take turns, one frame each, so that a large
// message on one delays the others by one frame at most. It is bounded in
// bytes: a message that does not fit is refused.
type outbox struct {
	link  *link
	limit int

	mu    sync.Mutex
	first *lane // of those with something to send, whose turn is next
	last  *lane
	lanes map[string]*lane
	spare *lane // an empty one, for the next channel
	bytes int
	ended bool
	// wake has room for one token: something was put, the link is writable
	// again, or the end has come.
	wake chan struct{}
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
	next   *outgoing
	// seat hears what becomes of it; nil for messages of the engine's own.
	seat     *Seat
	ref      uint64
	progress bool
	// report is told of frames that passed, and of the end of the link before
	// all of them did.
	report func(frames int, err error)
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
		if t.Buffered() < highWater {
			m, f, ended := o.pop()
			if ended {
				return
			}
			if m != nil {
				if err := t.Send(f); err != nil {
					o.link.close(err)
				}
				o.link.sent(len(f))
				m.passed(o.link.pair.remote)
				continue
			}
		} else if o.over() {
			return
		}
		<-o.wake
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

// passed reports progress after a frame was written.
func (m *outgoing) passed(peer string) {
	if m.report != nil {
		m.report(m.sent, nil)
	}
	if m.seat != nil && m.progress {
		m.seat.push(Progress{Ref: m.ref, Peer: peer, Fraction: float64(m.sent) / float64(len(m.frames))})
	}
}

// end empties the outbox for good and tells the senders.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	lanes := o.lanes
	o.lanes, o.first, o.last, o.spare, o.bytes = nil, nil, nil, nil, 0
	o.signal()
	o.mu.Unlock()
	for _, q := range lanes {
		for m := q.first; m != nil; m = m.next {
			if m.report != nil {
				m.report(0, ErrPeerGone)
			}
			if m.seat != nil {
				m.seat.push(Result{m.ref, o.link.pair.remote, ErrPeerGone})
			}
		}
	}
}
