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
	turns []*lane // channels with something to send, next first
	lanes map[string]*lane
	bytes int
	ended bool
	// wake has room for one token: something was put, the link is writable
	// again, or the end has come.
	wake chan struct{}
}

type lane struct {
	channel string
	items   []*outgoing
}

// outgoing is one message on its way to one link.
type outgoing struct {
	frames [][]byte // shared with other links
	next   int
	// seat hears what becomes of it; nil for messages of the engine's own.
	seat     *Seat
	ref      uint64
	progress bool
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
		q = &lane{channel: channel}
		o.lanes[channel] = q
		o.turns = append(o.turns, q)
	}
	q.items = append(q.items, m)
	o.signal()
	return nil
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
	if o.ended || len(o.turns) == 0 {
		return nil, nil, o.ended
	}
	q := o.turns[0]
	m = q.items[0]
	f = m.frames[m.next]
	m.next++
	o.bytes -= len(f)
	if m.next == len(m.frames) {
		q.items = q.items[1:]
	}
	o.turns = o.turns[1:]
	if len(q.items) > 0 {
		o.turns = append(o.turns, q)
	} else {
		delete(o.lanes, q.channel)
	}
	return m, f, false
}

// passed reports progress after a frame was written.
func (m *outgoing) passed(peer string) {
	if m.seat != nil && m.progress {
		m.seat.push(Progress{Ref: m.ref, Peer: peer, Fraction: float64(m.next) / float64(len(m.frames))})
	}
}

// end empties the outbox for good and tells the senders.
func (o *outbox) end() {
	o.mu.Lock()
	o.ended = true
	lanes := o.lanes
	o.lanes, o.turns, o.bytes = nil, nil, 0
	o.signal()
	o.mu.Unlock()
	for _, q := range lanes {
		for _, m := range q.items {
			if m.seat != nil {
				m.seat.push(Result{m.ref, o.link.pair.remote, ErrPeerGone})
			}
		}
	}
}
