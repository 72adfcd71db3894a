package engine

import (
	"errors"
	"sync/atomic"

	"github.com/genosrtc/caddy-genosrtc/internal/tally"
)

// counters are the node's running totals.
type counters struct {
	framesIn, framesOut, bytesIn, bytesOut atomic.Uint64
	messagesIn, messagesOut                atomic.Uint64
	linksOpened, linksClosed               atomic.Uint64
	slowSeats                              atomic.Uint64
	meshFrames, meshCopies                 atomic.Uint64
	meshPassed, meshFilled                 atomic.Uint64
	seatsResumed, seatsExpired             atomic.Uint64
	seals, graphCommits                    atomic.Uint64

	transfersBegun, transfersEnded, transfersCancelled atomic.Uint64
	transferBytes, transferBytesAgain                  atomic.Uint64

	dropped     tally.Tally[string] // reasons are constants of this package
	rulesBroken tally.Tally[string]
	attempts    tally.Tally[Attempt]
}

// Attempt is how an attempt at a link went.
type Attempt struct {
	Dialed  bool // the offer was ours
	Outcome string
}

// What became of attempts at links.
const (
	AttemptOpened    = "opened"
	AttemptTimeout   = "timeout"   // did not open in time
	AttemptAbandoned = "abandoned" // given up for another attempt
	AttemptFailed    = "failed"    // a description was refused, or ICE or DTLS failed
	AttemptClosed    = "closed"    // the room or the hosted peer ended meanwhile
)

func (c *counters) attempted(l *link, outcome string) {
	c.attempts.Add(Attempt{l.dialed, outcome})
}

// outcome names why a link did not open.
func outcome(err error) string {
	switch {
	case errors.Is(err, errLate):
		return AttemptTimeout
	case errors.Is(err, errAbandoned):
		return AttemptAbandoned
	case errors.Is(err, ErrClosed), errors.Is(err, ErrLeft):
		return AttemptClosed
	}
	return AttemptFailed
}

// resumed counts a try to resume a seat.
func (c *counters) resumed(err error) {
	switch {
	case err == nil:
		c.seatsResumed.Add(1)
	case errors.Is(err, ErrExpired):
		c.drop("resume: expired")
	case errors.Is(err, ErrOverflow):
		c.drop("resume: overflow")
	case errors.Is(err, ErrLeft):
		c.drop("resume: left")
	default:
		c.drop("resume: unknown")
	}
}

// drop counts something that was refused or thrown away, by reason.
func (c *counters) drop(reason string) { c.dropped.Add(reason) }

// broken counts a message that broke a rule, by the name of that.
func (c *counters) broken(err *RuleError) { c.rulesBroken.Add(err.Rule) }

// Stats are a node's totals since it began, and what it holds now.
type Stats struct {
	Rooms, Links, Handshakes int
	LinksOpened, LinksClosed uint64
	FramesIn, FramesOut      uint64
	BytesIn, BytesOut        uint64 // of frames, headers included
	MessagesIn, MessagesOut  uint64 // MessagesIn by links, MessagesOut by seats
	// MeshFrames came through the cells of rooms, and MeshCopies of them once more.
	// MeshPassed were passed on, counted for each channel, and MeshFilled where another
	// bridge was not heard to.
	MeshFrames, MeshCopies, MeshPassed, MeshFilled uint64
	SlowSeats                                      uint64 // attachments cut off with ErrSlow
	SeatsResumed                                   uint64 // attachments by Room.Resume
	SeatsExpired                                   uint64 // seats that were not resumed in time
	// TransfersEnded reached a recipient; TransfersCancelled ended without.
	// What single recipients did not get is in Dropped.
	TransfersBegun, TransfersEnded, TransfersCancelled uint64
	TransferBytes                                      uint64 // passed on to recipients
	TransferBytesAgain                                 uint64 // under way when their sender was told to go back
	// Attempts counts the attempts at links that have come to something.
	Attempts     map[Attempt]uint64
	Seals        uint64 // of the rosters of rooms with cells
	GraphCommits uint64 // of the rooms' graphs
	// Dropped counts by reason what was refused or thrown away.
	Dropped map[string]uint64
	// RulesBroken counts messages that broke a Rule of their channel, by
	// RuleError.Rule: of seats, which were refused, and of remote peers, whether
	// they were dropped or not.
	RulesBroken map[string]uint64
}

// Stats returns the node's totals.
func (n *Node) Stats() Stats {
	c := &n.counters
	s := Stats{
		Rooms: len(n.Rooms()), Links: int(n.links.Load()), Handshakes: int(n.handshakes.Load()),
		LinksOpened: c.linksOpened.Load(), LinksClosed: c.linksClosed.Load(),
		FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(),
		MeshFrames: c.meshFrames.Load(), MeshCopies: c.meshCopies.Load(), MeshPassed: c.meshPassed.Load(), MeshFilled: c.meshFilled.Load(),
		SlowSeats: c.slowSeats.Load(), SeatsResumed: c.seatsResumed.Load(), SeatsExpired: c.seatsExpired.Load(),
		TransfersBegun: c.transfersBegun.Load(), TransfersEnded: c.transfersEnded.Load(),
		TransfersCancelled: c.transfersCancelled.Load(),
		TransferBytes:      c.transferBytes.Load(), TransferBytesAgain: c.transferBytesAgain.Load(),
	}
	s.Seals, s.GraphCommits = c.seals.Load(), c.graphCommits.Load()
	s.Attempts = c.attempts.Counts()
	s.Dropped, s.RulesBroken = c.dropped.Counts(), c.rulesBroken.Counts()
	return s
}

// RoomStats is what a room holds now.
type RoomStats struct {
	Seats, Hosted, Links, Remotes int
	Readers                       int // of events
	// Waiting are the seats without an attachment.
	Waiting       int
	Transfers     int // under way
	TransferBytes int // of them, kept for peers behind links
	Inbox         int // jobs that wait for the room
	WaitingBytes  int // for links that are down
	LinkBytes     int // for links that are open
	Streams       int // of audio and video, by seats
}

// Add adds what another room holds.
func (s *RoomStats) Add(o RoomStats) {
	s.Seats += o.Seats
	s.Hosted += o.Hosted
	s.Links += o.Links
	s.Remotes += o.Remotes
	s.Readers += o.Readers
	s.Waiting += o.Waiting
	s.Transfers += o.Transfers
	s.TransferBytes += o.TransferBytes
	s.Inbox += o.Inbox
	s.WaitingBytes += o.WaitingBytes
	s.LinkBytes += o.LinkBytes
	s.Streams += o.Streams
}

// Used tells whether the room has seats, also such as wait for their next
// attachment, readers or links.
func (r *Room) Used() bool {
	s := r.Stats()
	return s.Seats+s.Readers+s.Links > 0
}

// Stats returns what the room holds; all zero after its end.
func (r *Room) Stats() RoomStats {
	var s RoomStats
	r.ask(func() {
		s = RoomStats{Seats: len(r.seats), Hosted: len(r.hosted), Remotes: len(r.remotes), Readers: len(r.readers), Transfers: len(r.transfers), TransferBytes: r.assembled, Inbox: len(r.inbox), WaitingBytes: r.waitingBytes, Streams: len(r.streams)}
		for _, seat := range r.seats {
			if seat.attached == nil {
				s.Waiting++
			}
		}
		for _, h := range r.hosted {
			for _, p := range h.pairs {
				if p.live != nil {
					s.Links++
					s.LinkBytes += p.live.out.waits()
				}
			}
		}
	})
	return s
}
