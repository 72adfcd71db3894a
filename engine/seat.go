package engine

import (
	"math"
	"sync"
	"time"
)

// SeatConfig is what a seat is taken with.
type SeatConfig struct {
	// Identity is the one wished for. The seat gets the lesser of it and what
	// room and limits grant.
	Identity Identity
	// Pending is the number of bytes that may wait in an attachment's queue; 0
	// means the node's limit.
	Pending int
	// Resume is how long the seat lives without an attachment. 0 means that it
	// ends with its first one, and nothing is written down for it.
	Resume time.Duration
	// Owner says whose the seat is, for PerOwner; a client's address, say.
	Owner string
	// User says who the client is, if that is known. All seats of a user have one
	// rate on a channel with a rule.
	User string
	// PerOwner is the number of seats in the room that an owner can have. With
	// more, that seat of his ends which was without an attachment for longest.
	// Those that have one are not bounded here. 0 means any number.
	PerOwner int
	// History is the number of the room's recent messages to all that come
	// first, at most MaxHistory.
	History int
	// Hears tells of which channels the attachment hears; what is sent on others
	// is not for it. It may be called by several goroutines. Nil: of all.
	Hears func(channel string) bool
	// Wake, which has room for one value, gets one when Attachment.Poll may
	// find something, and at the attachment's end. Who receives it calls Poll
	// until that finds nothing. Nil: Next is called.
	Wake chan struct{}
}

// Seat is the place of one participant of this process in a room: its peer id
// there, and where it is in the room's journal. It is used through an
// [Attachment], and may outlive several of them.
type Seat struct {
	room     *Room
	id       string
	identity Identity
	hosted   *hosted  // speaks for it in the mesh
	key      tokenKey // of what it is resumed by; zero if it cannot be
	joined   uint64   // place in the journal: what is behind it is for the seat
	// channels are those that a reader wants; nil for what is no reader.
	channels func(string) bool

	// Of the room's actor.
	resume   time.Duration
	owner    string
	user     string // of the last attachment
	posted   uint64 // the highest ref that is to be written down
	taken    uint64 // the highest ref that is
	stored   uint64 // taken, as the store has it
	storedAt time.Time
	deadline time.Time // without an attachment, when it ends
	moves    uint64    // of other seats, that it was told

	transfers seatTransfers
	hears     func(channel string) bool // of the last attachment; nil: all

	// mu guards what follows, and the attachment's queue. The actor alone
	// changes attached.
	mu       sync.Mutex
	attached *Attachment // nil: none
	pings    int
	kept     []keptEvent
}

// keptEvent is one that may not have arrived. The message after in the journal
// came before it, so that who has a later one has heard the event too.
type keptEvent struct {
	Event
	after uint64
	at    time.Time // when it was handed out
}

const neverHandedOut = math.MaxUint64

// sender is whose rate the seat's messages count for: its user's. Who is not known
// by name counts for each seat by itself, as many may have one address; but with
// seats for a message each, it is by the owner. It belongs to the actor.
func (s *Seat) sender() sender {
	switch {
	case s.user != "":
		return sender{id: s.user}
	case !s.resumable() && s.owner != "":
		return sender{id: s.owner}
	}
	return sender{id: s.id}
}

func (s *Seat) resumable() bool { return s.resume > 0 }

// push hands an event to the attachment. Without one the seat keeps what lasts.
func (s *Seat) push(e Event) {
	if !s.concerns(e) {
		return
	}
	s.mu.Lock()
	if _, ok := e.(Pong); ok {
		s.pings--
	}
	a := s.attached
	if a != nil && a.err == nil {
		a.push(e)
	} else {
		s.keep(e, neverHandedOut)
	}
	s.mu.Unlock()
	if a != nil {
		a.signal()
	}
}

// pushAll is push for the messages of others. A seat without an attachment has
// them in the journal.
func (s *Seat) pushAll(posted []*posting) {
	s.mu.Lock()
	a := s.attached
	if a != nil {
		for _, p := range posted {
			if p.seat != s && a.err == nil {
				a.push(p.message())
			}
		}
	}
	s.mu.Unlock()
	if a != nil {
		a.signal() // not under the lock, which the reader takes at once
	}
}

// concerns tells whether a seat is to be told of an event. A reader is told of few.
func (s *Seat) concerns(e Event) bool {
	if s.channels == nil {
		return true
	}
	switch e.(type) {
	case *Message, PeerEvent:
		return true
	}
	return false
}

// keep remembers an event, if it lasts, for the next attachment. Of too many the
// oldest is forgotten. It needs the lock.
func (s *Seat) keep(e Event, after uint64) {
	if s.key == (tokenKey{}) {
		if _, ok := e.(Result); ok {
			s.room.node.counters.drop("result: nobody is there to be told")
		}
		return
	}
	if !lasting(e) {
		return
	}
	if len(s.kept) >= maxKept {
		if s.kept[0].after == neverHandedOut {
			s.room.node.counters.drop("seat: too many results wait for it")
		}
		s.kept = s.kept[1:]
	}
	s.kept = append(s.kept, keptEvent{e, after, s.room.now()})
}

// confirm forgets the events that have arrived, as the client has the messages
// up to ack, and those that were handed out so long ago that they have. It needs
// the lock.
func (s *Seat) confirm(ack uint64) {
	old := s.room.now().Add(-confirmTime)
	kept := s.kept[:0]
	for _, k := range s.kept {
		if k.after == neverHandedOut || k.after >= ack && k.at.After(old) {
			kept = append(kept, k)
		}
	}
	clear(s.kept[len(kept):])
	s.kept = kept
}

// mayHear tells whether the seat hears of a channel, as far as is known.
func (s *Seat) mayHear(channel string) bool { return s.hears == nil || s.hears(channel) }

// wants tells whether a message in the journal is for the seat.
func (s *Seat) wants(rec *record) bool {
	if s.channels != nil && !s.channels(rec.channel) {
		return false
	}
	switch rec.to {
	case toAll:
		return rec.from != s.id
	case toServer:
		return s.identity == IdentityServer
	}
	for _, id := range rec.listed {
		if id == s.id {
			return true
		}
	}
	return false
}

// watch cuts off an attachment that gets nothing through any more.
func (s *Seat) watch(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.attached; a != nil && a.err == nil && a.flight.stalled(now) {
		a.stop(ErrStalled)
		s.room.node.counters.slowSeats.Add(1)
	}
}

// accept notes that what the seat sent up to ref is written down, and has the
// attachment told; again if it was known before. The actor calls it.
func (s *Seat) accept(ref uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = max(s.taken, ref)
	if a := s.attached; a != nil && a.err == nil {
		a.accepted, a.tell = s.taken, true
		a.signal()
	}
}
