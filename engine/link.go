package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// Why links end.
var (
	errAbandoned  = errors.New("given up for another attempt")
	errLate       = errors.New("did not open in time")
	errEvicted    = errors.New("the remote peer offers anew and does not answer")
	errRemoteLeft = errors.New("the remote peer left")
	errSilent     = errors.New("no sign of life")
)

// link is one connection of a pair, from the first description to its end. All
// that happens to it is tied to this object, never to the peer id, which a
// successor may bear. It implements LinkHandler.
type link struct {
	room *Room
	pair *pair

	// Of the room's actor.
	relay    string // that the offer came by
	author   string // of the page at the other end
	dialed   bool   // the offer is ours
	answered bool
	probing  bool
	opened   time.Time
	pinged   time.Time // by the watchdog
	// While its ping waits behind other bytes, whose end is pingAt, their moving
	// is a sign of life: ackedAt is where they were when that was noticed last,
	// at the time moved.
	pingAt, ackedAt int64
	moved           time.Time

	assembler *frame.Reassembler // of the transport's goroutine
	out       *outbox
	// unconfirmed is what was written and may not have arrived.
	unconfirmed unconfirmed
	heard       atomic.Int64           // time of the last frame, Unix nanoseconds
	left        atomic.Bool            // the remote peer took farewell
	stage       atomic.Pointer[string] // that it had come to when it ended; nil: nobody knows
	opening     atomic.Bool            // counts as a handshake
	unsent      bool                   // messages of the engine's own were left; after the end

	mu        sync.Mutex
	transport Link
	media     *negotiation // nil: nobody spoke of media
	closed    bool
	reason    error
	pongs     []pongWaiter
}

type pongWaiter struct {
	seat  *Seat
	ref   uint64
	ping  uint64 // its number on the link
	since time.Time
}

func newLink(r *Room, p *pair) *link {
	pending := r.node.limits.Load().LinkPending
	l := &link{room: r, pair: p, assembler: frame.NewReassembler(frame.Limits{Inflated: maxContent})}
	l.out, l.unconfirmed.limit = newOutbox(l, pending), pending
	l.opening.Store(true)
	r.tasks.Add(1) // until finish
	return l
}

// attach gives the link its transport's half. It reports false, and ends that
// half, if the link was closed meanwhile.
func (l *link) attach(t Link) bool {
	l.mu.Lock()
	l.transport = t
	closed := l.closed
	l.mu.Unlock()
	if closed {
		t.Close()
	}
	return !closed
}

func (l *link) half() Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.transport
}

func (l *link) accept(ctx context.Context, answer string) error {
	if t := l.half(); t != nil {
		return t.Accept(ctx, answer)
	}
	return errAbandoned
}

// failed ends a link that its transport could not make.
func (l *link) failed(err error) {
	l.room.node.counters.drop("link: description refused")
	l.room.log.Debug("no link", "peer", l.pair.remote, "hosted", l.pair.h.id, "error", err)
	l.finish(err)
}

// close ends the link, for the first reason given.
func (l *link) close(reason error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed, l.reason = true, reason
	t := l.transport
	l.mu.Unlock()
	l.noteStage(t)
	if t != nil {
		t.Close()
	}
}

// finish is the end of every link, exactly once.
func (l *link) finish(err error) {
	l.mu.Lock()
	if l.reason != nil {
		err = l.reason
	}
	l.closed = true
	t, media := l.transport, l.media
	pongs := l.pongs
	l.pongs = nil
	l.mu.Unlock()
	l.noteStage(t)
	if media != nil {
		media.end()
	}
	l.release()
	l.room.node.links.Add(-1)
	left := l.leftover()
	for _, w := range pongs {
		w.seat.push(Pong{w.ref, l.pair.remote, ErrPeerGone})
	}
	l.room.post(func() { l.room.linkClosed(l, err, left) })
	l.room.tasks.Done()
}

// leftover ends the writing. It returns the messages for the next link, in
// order, and reports those that may have arrived and must not be sent again.
func (l *link) leftover() []*outgoing {
	unwritten := l.out.end()
	left, lost := l.unconfirmed.end()
	for _, m := range lost {
		m.failed(l.pair.remote, ErrPeerGone)
	}
	for _, m := range unwritten {
		if m.seat != nil || m.waits {
			left = append(left, m)
		} else { // it concerns this link only
			l.unsent = true
			m.failed(l.pair.remote, ErrPeerGone)
		}
	}
	return left
}

// release ends the link's counting as a handshake.
func (l *link) release() {
	if l.opening.CompareAndSwap(true, false) {
		l.room.node.handshakes.Add(-1)
		if l.dialed {
			l.room.node.dials.Add(-1)
		}
	}
}

// LinkOpen implements LinkHandler.
func (l *link) LinkOpen() {
	l.release()
	l.heard.Store(l.room.now().UnixNano())
	l.out.open()
	l.room.post(func() { l.room.linkOpened(l) })
}

// LinkFrame implements LinkHandler. Pings are answered here, before any queue.
func (l *link) LinkFrame(b []byte) {
	c := &l.room.node.counters
	c.framesIn.Add(1)
	c.bytesIn.Add(uint64(len(b)))
	l.room.traffic.linkIn.Add(uint64(len(b)))
	l.heard.Store(l.room.now().UnixNano())
	stale := l.assembler.Stale()
	m, progress, err := l.assembler.Push(b)
	if l.assembler.Stale() != stale {
		c.drop("frame: message given up by its sender")
	}
	if err != nil {
		c.drop(frameReason(err))
		return
	}
	switch {
	case m == nil && progress != nil:
		l.room.post(func() { l.room.arriving(l, progress) })
	case m == nil:
	case strings.HasPrefix(m.Channel, internalPrefix):
		l.internal(m)
	case l.meshFrame(m):
	case l.room.syncs != nil:
		c.messagesIn.Add(1)
		l.room.syncs.heard(l, m)
	default:
		c.messagesIn.Add(1)
		rule := l.room.rule(m.Channel)
		if err := rule.check(sender{l.pair.remote, l.pair.h.id}, l.room.now(), &m.Content); err != nil {
			c.broken(err)
			if rule.Enforce {
				c.drop("message: against a rule")
				return
			}
		}
		l.room.give(job{post: &posting{link: l, in: m, progress: progress}})
	}
}

// frameReason names for the counters what is wrong with a frame.
func frameReason(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{frame.ErrShort, "frame: short"},
		{frame.ErrLong, "frame: long"},
		{frame.ErrName, "frame: bad channel name"},
		{frame.ErrTooLarge, "frame: message of too many"},
		{frame.ErrProgress, "frame: bad progress"},
		{frame.ErrMeta, "frame: bad meta"},
		{frame.ErrJSON, "frame: bad JSON"},
		{frame.ErrZlib, "frame: bad compression"},
		{frame.ErrInflated, "frame: inflates too far"},
		{frame.ErrOverflow, "frame: too many messages under way"},
		{frame.ErrDropped, "frame: of a message that was dropped"},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return "frame: bad"
}

// LinkJunk implements LinkHandler.
func (l *link) LinkJunk(j Junk) { l.room.node.counters.drop("frame: " + string(j)) }

// LinkWritable implements LinkHandler.
func (l *link) LinkWritable() { l.out.signal() }

// negotiate has f speak of media, unless the link has ended.
func (l *link) negotiate(f func(*negotiation)) {
	l.mu.Lock()
	if l.media == nil && !l.closed {
		l.media = &negotiation{link: l}
	}
	n := l.media
	l.mu.Unlock()
	if n != nil {
		f(n)
	}
}

// LinkClosed implements LinkHandler.
func (l *link) LinkClosed(err error) { l.finish(err) }

// sendNow sends an empty message on an internal channel past all queues.
func (l *link) sendNow(channel string) {
	t := l.half()
	if t == nil {
		return
	}
	frames, err := frame.Encode(channel, l.pair.h.nextNonce(channel), Content{})
	if err != nil {
		return // the names are valid constants
	}
	if t.Send(frames[0]) == nil {
		l.sent(len(frames[0]))
	}
}

func (l *link) sent(bytes int) {
	l.room.node.counters.framesOut.Add(1)
	l.room.node.counters.bytesOut.Add(uint64(bytes))
	l.room.traffic.linkOut.Add(uint64(bytes))
}

func (l *link) farewell() { l.sendNow(channelLeave) }

func (l *link) ping() {
	l.unconfirmed.pinged()
	l.sendNow(channelPing)
}

// pingFor pings on behalf of a seat.
func (l *link) pingFor(s *Seat, ref uint64) {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.pongs = append(l.pongs, pongWaiter{s, ref, l.unconfirmed.pinged(), l.room.now()})
	}
	l.mu.Unlock()
	if closed {
		s.push(Pong{ref, l.pair.remote, ErrPeerGone})
		return
	}
	l.sendNow(channelPing)
}

// ponged takes a pong, and answers the seats that it is for.
func (l *link) ponged() {
	n := l.unconfirmed.ponged()
	l.mu.Lock()
	var answered []pongWaiter
	for len(l.pongs) > 0 && l.pongs[0].ping <= n {
		answered = append(answered, l.pongs[0])
		l.pongs = l.pongs[1:]
	}
	l.mu.Unlock()
	for _, w := range answered {
		w.seat.push(Pong{w.ref, l.pair.remote, nil})
	}
}

// noteStage keeps for Why how far the link had come.
func (l *link) noteStage(t Link) {
	if s, ok := t.(Staged); ok {
		stage := s.Stage()
		l.stage.CompareAndSwap(nil, &stage)
	}
}

func (l *link) heardSince(t time.Time) bool { return l.heard.Load() >= t.UnixNano() }

// watch is the watchdog's look at the link, every watchEvery.
func (l *link) watch(now time.Time) {
	l.expirePongs(now)
	switch {
	case !l.pinged.IsZero() && !l.heardSince(l.pinged):
		if acked := l.out.acked.Load(); l.ackedAt < l.pingAt && acked > l.ackedAt {
			l.ackedAt, l.moved = acked, now
		}
		if now.Sub(l.moved) >= deadAfter {
			l.close(errSilent)
		}
	case !l.heardSince(now.Add(-pingAfter)):
		l.pinged, l.moved = now, now
		l.pingAt, l.ackedAt = l.out.sent.Load(), l.out.acked.Load()
		l.ping()
	}
}

func (l *link) expirePongs(now time.Time) {
	l.mu.Lock()
	var late []pongWaiter
	for len(l.pongs) > 0 && now.Sub(l.pongs[0].since) > pingTime {
		late = append(late, l.pongs[0])
		l.pongs = l.pongs[1:]
	}
	l.mu.Unlock()
	for _, w := range late {
		w.seat.push(Pong{w.ref, l.pair.remote, ErrPingTimeout})
	}
}
