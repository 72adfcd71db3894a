package engine

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/journal"
)

// Limits bound what others can make the engine hold. A zero field means its
// default.
type Limits struct {
	// SeatsPerRoom is the number of seats in a room. Default 10,000.
	SeatsPerRoom int
	// HostedPerRoom is the number of seats in a room that get a hosted peer
	// of their own; the others speak through the server's. Default 32.
	HostedPerRoom int
	// Links is the number of links in the process, those that are opening
	// included. Offers beyond it wait while they are fresh. Default 2,000.
	Links int
	// Pending is the number of bytes that may wait for a seat before it is
	// cut off with ErrSlow. One message may always wait. Default 8 MiB.
	Pending int
	// LinkPending is the number of bytes that may wait for a link, or for a
	// remote peer whose link is down; a message beyond it is refused to that
	// peer with ErrPeerSlow. One message may always wait. As many bytes again
	// may be unconfirmed on redeliver channels; the oldest beyond them will not
	// be sent again. Default 8 MiB.
	LinkPending int
	// Window is the number of bytes of a transfer that its sender may send
	// beyond what all recipients have acknowledged. Default 512 KiB.
	Window int
	// RemotesPerRoom is the number of remote peers that a room remembers.
	// When a new one is heard beyond it, the one that was silent for longest
	// and has no link is forgotten. Default 16,384.
	RemotesPerRoom int
	// Journal is the number of bytes that a room's journal holds, so that seats
	// can be resumed. What is beyond it is given up, oldest first. Default 64
	// MiB.
	Journal int
	// Handshakes is the number of links that may be opening at once in the
	// process. Offers beyond it wait while they are fresh. Default 128.
	Handshakes int
	// Graph is the number of bytes that the nodes of a room's graph can have. New
	// ones beyond it are refused; what is there can still be changed, and grow, until
	// the graph has twice as many. Default 1 GiB.
	Graph int64
	// Streams is the number of streams of audio and video that seats may have in a
	// room, and Tracks that of one stream. Default 16 and 4.
	Streams, Tracks int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.SeatsPerRoom, 10_000)
	set(&l.HostedPerRoom, 32)
	set(&l.Links, 2_000)
	set(&l.Pending, 8<<20)
	set(&l.LinkPending, 8<<20)
	set(&l.Window, 512<<10)
	set(&l.RemotesPerRoom, 16_384)
	set(&l.Journal, 64<<20)
	set(&l.Handshakes, 128)
	set(&l.Streams, 16)
	set(&l.Tracks, 4)
	if l.Graph <= 0 {
		l.Graph = 1 << 30
	}
	return l
}

// Timing that the wire imposes or that was measured against it; see
// docs/protocol.md.
const (
	// announceEvery is how often a hosted peer announces itself without cause.
	// Browsers do so every 2.5 s; linked peers that announced every 60 s stayed
	// in their rosters.
	announceEvery = 20 * time.Second
	// meshAnnounceEvery is the same in a room with cells, where most peers know of us
	// by announces alone, and offer us a link only when they hear one.
	meshAnnounceEvery = 10 * time.Second
	// announceGap is the time between announces of a hosted peer while others
	// keep coming; of a few that come after a pause, announceBurst, each is
	// answered at once, since a page waits for it.
	announceGap   = time.Second
	announceBurst = 5
	// remoteSilence is the silence in signaling after which an unlinked remote
	// peer is taken for lost. Peers like ours announce every 20 s.
	remoteSilence = 65 * time.Second

	// watchEvery, pingAfter and deadAfter are the browsers' watchdog: its
	// tick, the silence that provokes a ping, and the time for the answer.
	watchEvery = 5 * time.Second
	pingAfter  = 10 * time.Second
	deadAfter  = 25 * time.Second
	// probeTime is the time that a link has to show life when its remote peer
	// sends an offer although we hold it linked.
	probeTime = 3 * time.Second

	// holdOff is the time after a link's end during which the same page must
	// not be linked again under the same peer id: its old connection, not
	// closed, fails up to 16 s later and takes the new link with it
	// (docs/protocol.md, "Stale-connection eviction").
	holdOff = 20 * time.Second
	// openTime is the time that a link has to open; reserveTime is it when
	// another offer of the same peer waits, or many links are opening.
	openTime    = 15 * time.Second
	reserveTime = 5 * time.Second
	// offerLife is how long an offer is worth answering: browsers reap theirs
	// after 57 s.
	offerLife = 50 * time.Second

	// dialAfter is how long a remote peer may announce itself without making
	// an offer before we make one. Browsers offer within milliseconds.
	dialAfter = 20 * time.Second
	// dialAfterOffer is the same for a remote peer whose offer came to
	// nothing: browsers offer again after about 90 s.
	dialAfterOffer = 100 * time.Second

	// waitTime is how long messages wait for a remote peer whose link ended
	// without farewell. It must outlast holdOff. From then on our next announce,
	// after announceEvery at the latest, makes a page offer if its own offer did
	// not arrive, and a link opens within seconds.
	waitTime = holdOff + announceEvery + 5*time.Second
	// confirmEvery is the least time between two pings that find out whether
	// messages arrived.
	confirmEvery = 500 * time.Millisecond

	// leaveTime is the time between a farewell on a link and its end, so that
	// the farewell arrives.
	leaveTime = 100 * time.Millisecond
	// sdpTime bounds the making of a session description.
	sdpTime = 10 * time.Second

	pingTime  = 10 * time.Second
	maxPings  = 256 // under way for one seat
	inboxSize = 256
	maxToDial = 4_096 // pairs; one beyond it waits for the next announce
	maxNonces = 256   // channel names that a hosted peer remembers the nonce of
)

// Bounds of seats and journals.
const (
	// MaxRecipients is the number of recipients that one message may name.
	MaxRecipients = 1_000
	// journalAge is how long a journal keeps messages, and a room without seats
	// its journal.
	journalAge = time.Hour
	// confirmTime is how long an event that was handed out may turn out not to
	// have arrived: longer than a transport takes to notice that it is lost.
	confirmTime = time.Minute
	// leastFlight is the least window of a seat: twice what a client may leave
	// unacknowledged of its own accord (docs/gateway.md, "send, ack, result").
	leastFlight = 128 << 10
	// stallTime is how long a client that acknowledges messages may leave a
	// full window unacknowledged.
	stallTime = 20 * time.Second
	// MaxHistory is the number of recent messages that a new seat can ask for.
	MaxHistory = 1_000
	maxKept    = 1_024 // results and pongs of one seat that may not have arrived
	maxEnded   = 4_096 // seats of a room of which is known why they ended
	// maxContent is the size of data and meta of one message, so that it fits
	// the journal with its recipients.
	maxContent = journal.MaxEntry - 128<<10
	// checkpointEvery is how often a room writes down what is on its way to
	// links, if anything is, and maxCheckpoint of how many messages.
	checkpointEvery = time.Second
	maxCheckpoint   = 16_384
	stagedBytes     = 1 << 20
	readBytes       = 256 << 10 // of the journal at once
)
