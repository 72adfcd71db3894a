package engine

import "context"

// ReaderConfig is what a Reader begins with.
type ReaderConfig struct {
	// Resume has the messages behind the offset After come first, as far as the
	// journal has them.
	Resume bool
	After  uint64
	// History is, without Resume, how many of the recent messages of Channels come
	// first, at most MaxHistory.
	History int
	// Channels tells whether the messages of a channel are wanted. It is called
	// while locks are held. Nil: all are.
	Channels func(channel string) bool
	// Pending is the number of bytes that may wait in the reader's queue; 0 means
	// the node's limit.
	Pending int
}

// Reader hears what the server's own peer hears: each message to all, of seats
// and of remote peers, once and in the journal's order, and what remote peers send
// to that peer alone, which the wire does not tell apart. It has no place in the
// room: nobody sees it, and it cannot send. While a room has readers, and for an
// hour after the last one, it keeps its journal, so that another reader can go on
// from an offset.
//
// A Reader is one goroutine's, but for Close. It starts none of its own.
type Reader struct {
	a *Attachment
	// Peers are those that the server's peer was connected with in the beginning,
	// itself included. Changes come as PeerEvents.
	Peers []Peer
	// Missed tells why what is behind ReaderConfig.After may be incomplete:
	// ErrOverflow, if the journal does not hold all of it any more, or
	// ErrUnknownOffset, if it never had that offset. Nil: nothing is missing.
	Missed error
}

// Read begins to read the room's messages: the new ones, after those that cfg asks
// for. It fails with ErrRoomFull, ErrClosed, ErrJournal, or ctx's error.
func (r *Room) Read(ctx context.Context, cfg ReaderConfig) (*Reader, error) {
	if cfg.Channels == nil {
		cfg.Channels = func(string) bool { return true }
	}
	s := &Seat{room: r, identity: IdentityServer, channels: cfg.Channels}
	rd := new(Reader)
	var (
		recent []uint64
		err    error
	)
	if !r.ask(func() {
		limits := r.node.limits.Load()
		if err = ctx.Err(); err != nil {
			return
		}
		switch {
		case r.closing:
			err = ErrClosed
		case r.full():
			err = ErrRoomFull
		default:
			err = r.openJournal()
		}
		if err != nil {
			return
		}
		s.hosted, s.joined, s.moves = r.server, r.head, r.moves()
		if cfg.Resume {
			s.joined, rd.Missed = r.reachableFrom(cfg.After)
		} else {
			recent = r.history.last(MaxHistory)
		}
		rd.a = &Attachment{
			seat: s, journal: r.journal, limit: cfg.Pending, cursor: s.joined, handed: s.joined,
			reading: true, behind: true, wake: make(chan struct{}, 1), hears: cfg.Channels,
		}
		if rd.a.limit <= 0 {
			rd.a.limit = limits.Pending
		}
		s.attached = rd.a
		r.readers[s] = struct{}{}
		r.server.seats[s] = struct{}{}
		rd.Peers = r.peersOf(s)
	}) {
		err = ErrClosed
	}
	if err != nil {
		return nil, err
	}
	if cfg.History > 0 && len(recent) > 0 {
		rd.goBack(recent, min(cfg.History, MaxHistory))
	}
	return rd, nil
}

// reachableFrom is the place in the journal from which a reader goes on that has
// all up to after.
func (r *Room) reachableFrom(after uint64) (uint64, error) {
	first := r.journal.First() // 0: the journal is empty
	switch {
	case after > r.head:
		return r.head, ErrUnknownOffset
	case after == r.head:
		return after, nil
	case first == 0:
		return r.head, ErrOverflow
	case after+1 < first:
		return first - 1, ErrOverflow
	}
	return after, nil
}

// goBack has the last n messages that are wanted come first. The offsets are those
// of the last messages to all, on any channel. It looks at the last n, then at twice
// as many before them, and so on, until it has found enough.
func (rd *Reader) goBack(offsets []uint64, n int) {
	var wanted []uint64
	until := offsets[len(offsets)-1]
	for step := n; len(wanted) < n && len(offsets) > 0; step *= 2 {
		i := max(0, len(offsets)-step)
		wanted = append(rd.wanted(offsets[i], until), wanted...)
		until, offsets = offsets[i]-1, offsets[:i]
	}
	if n = min(n, len(wanted)); n > 0 {
		rd.a.cursor = wanted[len(wanted)-n] - 1
		rd.a.seat.mu.Lock()
		rd.a.handed = rd.a.cursor
		rd.a.seat.mu.Unlock()
	}
}

// wanted are the offsets of the messages from first to last that are wanted.
func (rd *Reader) wanted(first, last uint64) (offsets []uint64) {
	s := rd.a.seat
	err := eachRecord(rd.a.journal, first, last, func(seq uint64, data []byte) {
		if !isMessage(data) {
			return
		}
		if rec, err := decodeRecord(data); err == nil && s.wants(&rec) {
			offsets = append(offsets, seq)
		}
	})
	if err != nil {
		s.room.log.Error("the room's journal cannot be read", "error", err)
	}
	return offsets
}

// Position is an offset that another reader can go on from: what Next has returned
// is up to it, what it will return is behind it.
func (rd *Reader) Position() uint64 {
	a := rd.a
	position := a.cursor
	a.seat.room.ask(func() { // nothing is written down meanwhile
		a.seat.mu.Lock()
		defer a.seat.mu.Unlock()
		switch {
		case a.reading:
		case len(a.queue) == 0 && a.err == nil:
			position = a.seat.room.head
		default:
			position = max(position, a.handed)
		}
	})
	return position
}

// Next waits for messages and changes of peers and returns all that wait, appended
// to buf: a *Message or a PeerEvent each. They count as waiting until the next
// call. Its errors end the reader: ErrSlow, ErrOverflow, ErrJournal, ErrLeft (it
// was closed), ErrClosed (the room was); but ctx's does not.
func (rd *Reader) Next(ctx context.Context, buf []Event) ([]Event, error) { return rd.a.Next(ctx, buf) }

// Close ends the reader. It is idempotent and waits for nothing.
func (rd *Reader) Close() {
	s := rd.a.seat
	rd.a.end(ErrLeft)
	s.room.post(func() {
		if _, ok := s.room.readers[s]; ok {
			delete(s.room.readers, s)
			delete(s.room.server.seats, s)
			s.room.unused = s.room.now()
		}
	})
}

// Peers are the peers that the room's server is connected with, itself included;
// nil after the room's end.
func (r *Room) Peers() []Peer {
	var peers []Peer
	r.ask(func() { peers = r.peersOf(&Seat{hosted: r.server}) })
	return peers
}

// endReaders ends all readers.
func (r *Room) endReaders(why error) {
	for s := range r.readers {
		s.attached.end(why)
	}
}
