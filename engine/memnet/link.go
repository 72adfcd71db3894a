package memnet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// half is one end of a link. A goroutine of its own carries what it sends to
// the other end.
type half struct {
	net   *Network
	owner *Endpoint
	h     engine.LinkHandler
	sdp   string
	peer  *half // set when both descriptions are known; guarded by net.mu

	frozen atomic.Bool
	// calls serialises the handler's calls.
	calls sync.Mutex

	mu       sync.Mutex
	stream   *stream // set when the link is accepted, if the network has a Path
	queue    []timedFrame
	buffered int // without a stream
	wakeAt   int
	ended    bool
	wake     chan struct{}
}

// timedFrame is due at the other end at a time.
type timedFrame struct {
	b  []byte
	at time.Time
}

var (
	errClosed = errors.New("memnet: link closed")
	errUnopen = errors.New("memnet: link is not open")
	errGone   = errors.New("memnet: remote end closed")
)

func (e *Endpoint) half(h engine.LinkHandler, sdp string) *half {
	f := &half{net: e.net, owner: e, h: h, sdp: sdp, wakeAt: -1, wake: make(chan struct{}, 1)}
	e.net.halves[f] = struct{}{}
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
	f.peer = other
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
	f.peer = other
	if f.net.Path != nil {
		f.net.connect(f, other)
	}
	f.net.mu.Unlock()
	for _, h := range []*half{f, other} {
		if h.gone() {
			continue
		}
		go h.run()
	}
	return nil
}

// connect lets two halves send over a path. It needs the network's lock.
func (n *Network) connect(a, b *half) {
	there := newWay(*n.Path, n.time(), n.Seed, n.ways)
	back := newWay(*n.Path, n.time(), n.Seed, n.ways+1)
	n.ways += 2
	a.over(b, newStream(n.time(), there, back))
	b.over(a, newStream(n.time(), back, there))
}

// over has the half send to its peer over a stream.
func (f *half) over(peer *half, s *stream) {
	s.frozen, s.deaf = f.frozen.Load, peer.frozen.Load
	s.deliver = func(b []byte) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.queue = append(f.queue, timedFrame{b, f.net.now()})
		f.notify()
	}
	s.writable = func() { f.h.LinkWritable() }
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stream = s
}

// run opens the link at the other end, and carries frames there.
func (f *half) run() {
	f.net.mu.Lock()
	peer := f.peer
	f.net.mu.Unlock()
	opening := f.net.Delay
	if f.net.Path != nil {
		opening += f.net.Path.RTT
	}
	if !f.sleep(opening) {
		return
	}
	peer.call(peer.h.LinkOpen)
	for {
		f.mu.Lock()
		var next *timedFrame
		s := f.stream
		if len(f.queue) > 0 && (s != nil || !f.frozen.Load()) {
			next = &f.queue[0]
			f.queue = f.queue[1:]
		}
		ended := f.ended
		f.mu.Unlock()
		switch {
		case next != nil:
			if !f.sleep(next.at.Sub(f.net.now())) {
				return
			}
			if !peer.call(func() { peer.h.LinkFrame(next.b) }) {
				return // not acknowledged
			}
			if s != nil {
				s.took(len(next.b))
			} else if f.passed(len(next.b)) {
				f.h.LinkWritable()
			}
		case ended:
			return
		default:
			<-f.wake
		}
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

// sleep reports false if the half ended meanwhile.
func (f *half) sleep(d time.Duration) bool {
	if d > 0 {
		over := make(chan struct{})
		f.net.time().clock.AfterFunc(d, func() { close(over) })
		<-over
	}
	return !f.gone()
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

func (f *half) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
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
	case s == nil && f.net.Path != nil:
		f.mu.Unlock()
		return errUnopen
	case s == nil:
		f.queue = append(f.queue, timedFrame{slices.Clone(b), f.net.now().Add(f.net.Delay)})
		f.buffered += len(b)
		f.notify()
	}
	f.mu.Unlock()
	if s != nil {
		s.send(b)
	}
	return nil
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
	delete(f.net.halves, f)
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
	f.notify()
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
