package memnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// half is one end of a link.
type half struct {
	net   *Network
	owner *Endpoint
	h     engine.LinkHandler
	sdp   string
	// Guarded by net.mu: the other end, when both descriptions are known, and of an
	// offer that was not accepted, those that answered.
	peer  *half
	tried []*half

	frozen atomic.Bool
	// calls serialises the handler's calls.
	calls sync.Mutex

	mu       sync.Mutex
	out      *queue[parcel] // to the other end; nil before the link is accepted
	stream   *stream        // set with it, if the network has a Path
	random   rand.PCG
	latest   time.Time // arrival of what was sent last
	buffered int       // without a stream
	wakeAt   int
	ended    bool
}

// parcel is what the other end is told: a frame, or that the link is open.
type parcel struct {
	frame []byte
	open  bool
}

var (
	errClosed = errors.New("memnet: link closed")
	errUnopen = errors.New("memnet: link is not open")
	errGone   = errors.New("memnet: remote end closed")
)

func (e *Endpoint) half(h engine.LinkHandler, sdp string) *half {
	n := e.net
	f := &half{net: n, owner: e, h: h, sdp: sdp, wakeAt: -1}
	f.random.Seed(n.Seed, n.made)
	n.made++
	e.halves[f] = struct{}{}
	return f
}

// Offer implements engine.Transport.
func (e *Endpoint) Offer(_ context.Context, h engine.LinkHandler) (engine.Link, string, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	f := e.half(h, e.net.describe("offer"))
	e.net.offers[f.sdp] = f
	return f, f.sdp, nil
}

// Answer implements engine.Transport.
func (e *Endpoint) Answer(_ context.Context, offer string, h engine.LinkHandler) (engine.Link, string, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	other := e.net.offers[offer]
	if other == nil {
		return nil, "", fmt.Errorf("memnet: answer %q: no such offer", offer)
	}
	f := e.half(h, e.net.describe("answer"))
	f.peer, other.tried = other, append(other.tried, f)
	e.net.answers[f.sdp] = f
	return f, f.sdp, nil
}

// Accept implements engine.Link. The link opens at both ends.
func (f *half) Accept(_ context.Context, answer string) error {
	f.net.mu.Lock()
	other := f.net.answers[answer]
	if other == nil || other.peer != f || f.peer != nil {
		f.net.mu.Unlock()
		return fmt.Errorf("memnet: accept %q: no such answer", answer)
	}
	f.peer, f.tried = other, slices.DeleteFunc(f.tried, func(h *half) bool { return h == other })
	var there, back *stream
	if f.net.Path != nil {
		there, back = f.net.streams()
	}
	f.net.mu.Unlock()
	f.begin(other, there)
	other.begin(f, back)
	return nil
}

// RoundTrip implements engine.Link. It is that of the network, measured or not.
func (f *half) RoundTrip() time.Duration {
	if f.net.Path != nil {
		return f.net.Path.RTT
	}
	return 2 * f.net.Delay
}

// streams makes both directions of a path. It needs the network's lock.
func (n *Network) streams() (*stream, *stream) {
	there := newWay(*n.Path, n.time(), n.Seed, n.ways)
	back := newWay(*n.Path, n.time(), n.Seed, n.ways+1)
	n.ways += 2
	return newStream(n.time(), there, back), newStream(n.time(), back, there)
}

// begin opens the link at the other end, and lets this one send: over a stream, if
// there is one.
func (f *half) begin(peer *half, s *stream) {
	opening := f.net.Delay
	if s != nil {
		opening += f.net.Path.RTT
		s.frozen, s.deaf = f.frozen.Load, peer.frozen.Load
		s.deliver = func(b []byte) { f.out.put(parcel{frame: b}, f.net.now()) }
		s.writable = func() { f.h.LinkWritable() }
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.latest = f.net.now().Add(opening)
	f.out = &queue[parcel]{schedule: f.net.time(), take: f.arrive, held: s == nil && f.frozen.Load()}
	f.out.put(parcel{open: true}, f.latest)
	f.stream = s
}

// arrive hands over at the other end.
func (f *half) arrive(p parcel) {
	if p.open {
		f.peer.call(f.peer.h.LinkOpen)
		return
	}
	if !f.peer.call(func() { f.peer.h.LinkFrame(p.frame) }) {
		return // not acknowledged
	}
	if f.stream != nil {
		f.stream.took(len(p.frame))
	} else if f.passed(len(p.frame)) {
		f.h.LinkWritable()
	}
}

// passed takes bytes off what is buffered, and tells whether that made the link
// writable.
func (f *half) passed(bytes int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.buffered
	f.buffered -= bytes
	return before > f.wakeAt && f.buffered <= f.wakeAt
}

// call makes one call to the handler. It reports false if the half has ended.
func (f *half) call(fn func()) bool {
	f.calls.Lock()
	defer f.calls.Unlock()
	if f.gone() {
		return false
	}
	fn()
	return true
}

func (f *half) gone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// freeze stops what is sent from leaving, or lets it go on.
func (f *half) freeze(on bool) {
	f.frozen.Store(on)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out != nil && f.stream == nil {
		f.out.hold(on)
	}
}

// Send implements engine.Link.
func (f *half) Send(b []byte) error {
	f.mu.Lock()
	s := f.stream
	switch {
	case f.ended:
		f.mu.Unlock()
		return errClosed
	case f.out == nil:
		f.mu.Unlock()
		return errUnopen
	case s == nil:
		f.buffered += len(b)
		f.out.put(parcel{frame: slices.Clone(b)}, f.arrival())
	}
	f.mu.Unlock()
	if s != nil {
		s.send(b)
	}
	return nil
}

// arrival is when a frame that is sent now arrives, without a stream.
func (f *half) arrival() time.Time {
	n := f.net
	at := n.now().Add(n.Delay)
	for n.Loss > 0 && rand.New(&f.random).Float64() < n.Loss {
		at = at.Add(2 * n.Delay)
	}
	if at.After(f.latest) {
		f.latest = at
	}
	return f.latest
}

// Buffered implements engine.Link.
func (f *half) Buffered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stream != nil {
		return f.stream.waiting()
	}
	return f.buffered
}

// WakeAt implements engine.Link.
func (f *half) WakeAt(buffered int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeAt = buffered
	if f.stream != nil {
		f.stream.wake(buffered)
	}
}

// Renegotiate implements engine.Link with an answer made of the offer.
func (f *half) Renegotiate(_ context.Context, offer string) (string, error) {
	return "answer to " + offer, nil
}

// Close implements engine.Link. The other end hears of it.
func (f *half) Close() error {
	f.end(errClosed)
	return nil
}

// end ends both halves.
func (f *half) end(err error) {
	f.net.mu.Lock()
	peer := f.peer
	delete(f.owner.halves, f)
	delete(f.net.offers, f.sdp)
	delete(f.net.answers, f.sdp)
	if peer != nil && peer.peer != f {
		peer = nil // answered, but never accepted
	}
	f.net.mu.Unlock()
	f.mu.Lock()
	ended := f.ended
	f.ended = true
	if f.stream != nil {
		f.stream.end()
	}
	if f.out != nil {
		f.out.end()
	}
	f.mu.Unlock()
	if ended {
		return
	}
	go func() {
		f.calls.Lock()
		defer f.calls.Unlock()
		f.h.LinkClosed(err)
	}()
	if peer != nil {
		peer.end(errGone)
	}
}
