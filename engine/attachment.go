package engine

import (
	"context"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/journal"
)

// Attachment is a transport's hold of a seat: by it the seat sends and hears. A
// seat has one at most; a newer one ends it with ErrResumed. Its methods may be
// used by several goroutines, but for Next, which is one goroutine's.
type Attachment struct {
	seat    *Seat
	token   string
	initial uint64 // ref that was taken when it began
	journal *journal.Journal
	limit   int
	hears   func(channel string) bool // nil: of all
	sender  sender
	wake    chan struct{} // has room for one token

	// Of Next's goroutine, while messages are read from the journal.
	cursor  uint64 // the last entry that was read
	until   uint64 // the last one to read, once the queue takes messages
	entries []journal.Entry

	// Guarded by seat.mu.
	queue    []Event
	waiting  int       // bytes in queue
	bulk     bulkQueue // comes after queue
	held     int       // bytes that the last Next returned
	err      error
	accepted uint64 // the highest ref that is written down
	tell     bool   // that it is
	handed   uint64 // the last message that Next returned
	flight   flight
	// reading means that messages are read from the journal, and behind that
	// the queue does not even take newer ones.
	reading, behind bool
}

// ID is the seat's peer id.
func (a *Attachment) ID() string { return a.seat.id }

// Mesh is the peer id by which the mesh sees the seat. It is another one than ID
// with IdentityServer, and after a restart of the process.
func (a *Attachment) Mesh() string { return a.seat.hosted.id }

// Identity tells how the mesh sees the seat.
func (a *Attachment) Identity() Identity { return a.seat.identity }

// Token is what the seat can be resumed by, a secret; empty if it cannot be.
func (a *Attachment) Token() string { return a.token }

// Taken is the highest Outgoing.Ref that was written down when the attachment
// began.
func (a *Attachment) Taken() uint64 { return a.initial }

// Outgoing is a message that a seat sends.
type Outgoing struct {
	// Ref comes back in the Results and Progress of this message. A seat that
	// can be resumed counts its messages by it: one whose Ref is not higher
	// than the last is a repetition, which is not taken again, but told as
	// Taken again. 0 does not count.
	Ref     uint64
	Channel string
	Content Content // must not be changed afterwards
	// To are the recipients; nil means every peer of the room.
	To []string
	// Progress asks for Progress events.
	Progress bool
}

// Send gives a message to the room. It blocks while the room is behind, or
// until ctx ends. It fails with ErrChannelName, ErrTooMany (recipients),
// ErrTooLarge (more than 15 MiB), a *RuleError, or as Next does; what single
// recipients cannot take comes as Result events. Messages of one goroutine keep
// their order.
func (a *Attachment) Send(ctx context.Context, o Outgoing) error {
	if !ValidChannel(o.Channel) {
		return ErrChannelName
	}
	if len(o.To) > MaxRecipients {
		return ErrTooMany
	}
	if len(o.Content.Data)+len(o.Content.Meta) > maxContent {
		return ErrTooLarge
	}
	if err := a.ended(); err != nil {
		return err
	}
	s := a.seat
	if err := s.room.rule(o.Channel).check(a.sender, s.room.now(), &o.Content); err != nil {
		s.room.node.counters.broken(err)
		return err
	}
	// Encoded here rather than in the actor, once for all links: compressing
	// takes time.
	frames, err := frame.Encode(o.Channel, s.hosted.nextNonce(o.Channel), o.Content)
	if err != nil {
		frames = nil // too large for the mesh, not for other seats
	}
	s.room.node.counters.messagesOut.Add(1)
	return s.room.giveCtx(ctx, job{post: &posting{seat: s, out: o, frames: frames}})
}

// Skip has everything up to ref count as taken, though it was not sent. It
// blocks and fails as Send does.
func (a *Attachment) Skip(ctx context.Context, ref uint64) error {
	if err := a.ended(); err != nil {
		return err
	}
	s := a.seat
	return s.room.giveCtx(ctx, job{run: func() {
		s.posted = max(s.posted, ref)
		s.room.written(s, ref)
	}})
}

// Ack tells that the messages up to seq have arrived for good. From the first one
// on, Next returns no more messages than may be on their way.
func (a *Attachment) Ack(seq uint64) {
	now := a.seat.room.now()
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	a.seat.confirm(seq)
	full := a.flight.free() <= 0
	a.flight.ack(now, seq)
	if full && a.flight.free() > 0 {
		a.signal()
	}
}

// Ping measures the way to a peer: a Pong event with ref follows. It fails with
// ErrTooMany if too many are under way, or as Next does.
func (a *Attachment) Ping(ctx context.Context, ref uint64, peer string) error {
	s := a.seat
	s.mu.Lock()
	err := a.err
	if err == nil && s.pings >= maxPings {
		err = ErrTooMany
	}
	if err == nil {
		s.pings++
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.room.giveCtx(ctx, job{run: func() { s.room.ping(s, ref, peer) }})
}

// Pong answers a PingRequest.
func (a *Attachment) Pong(token uint64) {
	a.seat.room.post(func() { a.seat.room.ponged(a.seat, token) })
}

// Leave gives the seat up; Next returns ErrLeft. It is idempotent, does nothing
// if the seat has a newer attachment, and does not wait for the network.
func (a *Attachment) Leave() {
	a.end(ErrLeft)
	a.seat.room.post(func() {
		if a.seat.attached == a {
			a.seat.room.unseat(a.seat, ErrLeft)
		}
	})
}

// Detach ends the attachment. The seat waits for the next one, if it can be
// resumed, and else leaves; Next returns ErrLeft in any case.
func (a *Attachment) Detach() {
	a.end(ErrLeft)
	a.seat.room.post(func() { a.seat.room.detach(a) })
}

// Next waits for events and returns all that Poll finds, appended to buf. Its
// errors are those of Poll, which end the attachment, and ctx's, which does not.
// It is not for who has given SeatConfig.Wake.
func (a *Attachment) Next(ctx context.Context, buf []Event) ([]Event, error) {
	for n := len(buf); ; {
		var err error
		if buf, err = a.Poll(buf); err != nil || len(buf) > n {
			return buf, err
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return buf, ctx.Err()
		}
	}
}

// Poll returns all events that wait, appended to buf. They count as waiting
// until the next call. It waits for nothing but the journal. Its errors end the
// attachment: ErrSlow, ErrLeft, ErrResumed, ErrOverflow, ErrJournal, ErrClosed.
func (a *Attachment) Poll(buf []Event) ([]Event, error) {
	n := len(buf)
	buf, reading, err := a.take(buf)
	if err != nil || len(buf) > n || !reading {
		return buf, err
	}
	if buf, err = a.read(buf); err == nil && len(buf) == n {
		a.signal() // what was read is not for the seat; there may be more
	}
	return buf, err
}

// take empties the queue, what it emptied before having been written, and tells whether messages are to be read from the
// journal. Those have to come before what the queue then holds.
func (a *Attachment) take(buf []Event) (_ []Event, reading bool, err error) {
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	a.held = 0
	if a.err != nil {
		return buf, false, a.err
	}
	if a.tell {
		buf = append(buf, Taken{a.accepted})
		a.tell = false
	}
	free := a.flight.free()
	if a.reading && !a.behind {
		return buf, free > 0, nil
	}
	n := 0
	for ; n < len(a.queue) && free > 0; n++ {
		if m, ok := a.queue[n].(*Message); ok {
			free -= m.cost()
		}
		a.held += a.queue[n].cost()
	}
	a.waiting -= a.held
	a.handOut(a.queue[:n])
	buf = a.bulk.take(append(buf, a.queue[:n]...))
	left := copy(a.queue, a.queue[n:])
	clear(a.queue[left:])
	a.queue = a.queue[:left]
	if left == 0 && free > 0 && !a.reading {
		a.flight.window.idle()
	}
	return buf, a.reading && free > 0, nil
}

func (a *Attachment) mayHear(channel string) bool { return a.hears == nil || a.hears(channel) }

// handOut notes what may turn out not to have arrived. It needs the lock.
func (a *Attachment) handOut(events []Event) {
	var now time.Time
	if a.flight.known {
		now = a.seat.room.now()
	}
	for _, e := range events {
		if m, ok := e.(*Message); ok {
			a.handed = m.Seq
			a.flight.send(now, m.Seq, m.cost())
		} else {
			a.seat.keep(e, a.handed)
		}
	}
}

// push queues an event. An attachment whose queue is full is cut off, alone:
// nobody waits for it. Progress is left out rather than fill the queue. It needs
// the lock, and signal afterwards.
func (a *Attachment) push(e Event) {
	full := a.waiting+a.held > 0 && a.waiting+a.held+e.cost() > a.limit
	switch e := e.(type) {
	case *Message:
		if a.behind || !a.mayHear(e.Channel) {
			return
		}
	case TransferProgress:
		if e.Fraction < 1 && a.waiting+a.held > a.limit/2 {
			return
		}
	case Progress:
		if e.Channel != "" && !a.mayHear(e.Channel) {
			return
		}
		if e.Fraction < 1 && a.waiting+a.held > a.limit/2 {
			return
		}
	}
	if full {
		a.stop(ErrSlow)
		a.seat.keep(e, neverHandedOut)
		a.seat.room.node.counters.slowSeats.Add(1)
		return
	}
	a.queue = append(a.queue, e)
	a.waiting += e.cost()
}

// read reads messages from the journal. Having caught up, it has the queue take
// the newer ones, and then reads up to where the queue begins.
func (a *Attachment) read(buf []Event) ([]Event, error) {
	r := a.seat.room
	var err error
	a.seat.mu.Lock()
	free := a.flight.free()
	a.seat.mu.Unlock()
	a.entries, err = a.journal.Read(a.cursor+1, min(free, readBytes), a.entries[:0])
	if err != nil {
		return buf, r.unreadable(a, err)
	}
	n := len(buf)
	for _, e := range a.entries {
		if a.until != 0 && e.Offset > a.until {
			break // it is in the queue
		}
		a.cursor = e.Offset
		if !isMessage(e.Data) {
			continue
		}
		rec, err := decodeRecord(e.Data)
		if err != nil {
			r.node.counters.drop("journal: bad record")
		} else if a.seat.wants(&rec) && a.mayHear(rec.channel) {
			buf = append(buf, rec.message(e.Offset))
		}
	}
	end := len(a.entries) == 0
	if !end && a.until == 0 {
		a.handedOut(buf[n:])
		return buf, nil
	}
	if end && a.until == 0 {
		if !r.ask(func() { // nothing is written down meanwhile
			a.seat.mu.Lock()
			defer a.seat.mu.Unlock()
			a.behind, a.until = false, r.head
		}) {
			return buf, ErrClosed
		}
		end = false
	}
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	a.handOut(buf[n:])
	if end || a.cursor >= a.until {
		a.reading, a.entries = false, nil
	}
	return buf, nil
}

func (a *Attachment) handedOut(events []Event) {
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	a.handOut(events)
}

// message makes a record a message again, in the memory of the record.
func (rec *record) message(seq uint64) *Message {
	return &Message{Seq: seq, Channel: rec.channel, From: rec.from, Content: rec.content}
}

func (a *Attachment) end(err error) {
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	if a.err == nil {
		a.stop(err)
	}
}

// stop needs the lock. What lasts is kept for the next attachment.
func (a *Attachment) stop(err error) {
	a.err = err
	for _, e := range a.queue {
		a.seat.keep(e, neverHandedOut)
	}
	a.queue, a.waiting = nil, 0
	a.bulk.waiting = nil
	a.signal()
}

func (a *Attachment) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Attachment) ended() error {
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	return a.err
}
