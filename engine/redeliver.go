package engine

import "sync"

// unconfirmed remembers the messages that were written to a link and may not
// have arrived, until it is known that they did:
//
//   - On ordinary channels it is enough that the transport has had all its bytes
//     acknowledged at some moment after the message. (That fewer are buffered
//     proves nothing: SCTP acknowledges packets beyond a gap too.) What is not
//     acknowledged when the link ends is reported to its sender, as it may or
//     may not have arrived.
//   - On redeliver channels the page itself must have had it. A link is ordered,
//     and pings are answered in order, at once (docs/protocol.md, "Internal
//     channels"): a pong proves that the page got everything that was written
//     before the ping that it answers. What is not proved when the link ends is
//     sent again on the next one, and may repeat there.
//
// Pings for this purpose go out for what has been unconfirmed for confirmEvery,
// one for all of it, and not while an earlier one covers it.
//
// It is bounded in bytes. Beyond that the oldest message of a redeliver channel
// is given up: if the link ends, it is reported instead of sent again. Messages
// that are only to be reported cost a few bytes each; if they alone exceed the
// bound, the oldest is forgotten, and counted.
type unconfirmed struct {
	limit int

	mu       sync.Mutex
	reported []*outgoing // in case of the link's end, without their frames
	kept     []*outgoing // to be sent again, but for the first, which were
	given    int         // given up
	bytes    int         // that all of them cost
	// pings and pongs are counted from the link's beginning: pong n answers
	// ping n.
	pings, pongs uint64
	watched      bool // confirm will look again
}

// note remembers a message that was written entirely. It reports whether confirm
// must be called in a while. Only the writer of the link calls it.
func (u *unconfirmed) note(m *outgoing, c *counters) (watch bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	// Pings take their number before they are sent. So the next number, and
	// later ones, are of pings that go out after the message.
	m.barrier = u.pings + 1
	m.next = nil // would hold messages that are done with
	if m.redeliver {
		u.kept = append(u.kept, m)
	} else {
		m.frames = nil
		u.reported = append(u.reported, m)
	}
	u.bytes += m.cost()
	for u.bytes > u.limit && len(u.kept)+len(u.reported) > 1 {
		switch {
		case u.given < len(u.kept):
			c.drop("message: will not be sent again, too many are unconfirmed")
			oldest := u.kept[u.given]
			u.bytes -= oldest.size()
			oldest.frames = nil
			u.given++
		case len(u.reported) > 0:
			c.drop("message: will not be reported, too many are unconfirmed")
			u.pop(&u.reported)
		default:
			c.drop("message: will not be reported, too many are unconfirmed")
			u.pop(&u.kept)
			u.given--
		}
	}
	watch, u.watched = !u.watched, true
	return watch
}

// pop takes the first of a list.
func (u *unconfirmed) pop(list *[]*outgoing) *outgoing {
	m := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	u.bytes -= m.cost()
	m.delivery.passed()
	return m
}

// acknowledged says that the transport holds nothing unacknowledged. Only the
// writer of the link calls it, so that nothing was written meanwhile.
func (u *unconfirmed) acknowledged() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes -= len(u.reported) * eventCost
	for _, m := range u.reported {
		m.delivery.passed()
	}
	clear(u.reported)
	u.reported = u.reported[:0]
}

// pinged numbers a ping that is about to be sent.
func (u *unconfirmed) pinged() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pings++
	return u.pings
}

// ponged takes a pong, which answers the oldest ping, and returns the number
// of that. A pong that nobody asked for proves nothing.
func (u *unconfirmed) ponged() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pongs == u.pings {
		return u.pongs
	}
	u.pongs++
	for len(u.kept) > 0 && u.kept[0].barrier <= u.pongs {
		u.pop(&u.kept)
		u.given = max(0, u.given-1)
	}
	for len(u.reported) > 0 && u.reported[0].barrier <= u.pongs {
		u.pop(&u.reported)
	}
	return u.pongs
}

// due tells whether a ping is needed to confirm the oldest message, and whether
// to ask again in a while. acked says that the transport will soon be found to
// hold nothing.
func (u *unconfirmed) due(acked bool) (ping, again bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.kept) > 0 {
		ping = u.pings < u.kept[0].barrier
	}
	if len(u.reported) > 0 && !acked {
		ping = ping || u.pings < u.reported[0].barrier
	}
	u.watched = len(u.kept)+len(u.reported) > 0
	return ping, u.watched
}

// end empties it for good, after the link's writer has ended.
func (u *unconfirmed) end() (resend, report []*outgoing) {
	u.mu.Lock()
	defer u.mu.Unlock()
	resend, report = u.kept[u.given:], append(u.reported, u.kept[:u.given]...)
	u.kept, u.reported, u.given, u.bytes = nil, nil, 0, 0
	return resend, report
}

// remember notes that a message of which somebody is told was handed to the transport
// entirely.
func (l *link) remember(m *outgoing) {
	if (m.seat != nil || m.report != nil) && l.unconfirmed.note(m, &l.room.node.counters) {
		l.room.after(confirmEvery, l.confirm)
	}
}

// confirm finds out whether what was written arrived. It runs in the actor.
func (l *link) confirm() {
	if l.pair.live != l {
		return
	}
	acked := l.half().Buffered() == 0
	l.out.signal() // for the writer to see it
	ping, again := l.unconfirmed.due(acked)
	if ping {
		l.ping()
	}
	if again {
		l.room.after(confirmEvery, l.confirm)
	}
}

// SetRedeliver changes on which channels a message that a link may have lost is
// sent again on the next, see RoomConfig.Redeliver. It holds for messages sent
// from now on.
func (r *Room) SetRedeliver(channels []string) {
	set := channelSet(channels)
	r.post(func() { r.redeliver = set })
}

func channelSet(channels []string) map[string]bool {
	set := make(map[string]bool, len(channels))
	for _, c := range channels {
		set[c] = true
	}
	return set
}
