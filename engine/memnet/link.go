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
	queue    []timedFrame
	buffered int
	ended    bool
	wake     chan struct{}
}

type timedFrame struct {
	b  []byte
	at time.Time
}

var (
	errClosed = errors.New("memnet: link closed")
	errGone   = errors.New("memnet: remote end closed")
)

func (e *Endpoint) half(h engine.LinkHandler, sdp string) *half {
	f := &half{net: e.net, owner: e, h: h, sdp: sdp, wake: make(chan struct{}, 1)}
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
	f.net.mu.Unlock()
	for _, h := range []*half{f, other} {
		if h.over() {
			continue
		}
		go h.run()
	}
	return nil
}

// run opens the link at the other end, and carries frames there.
func (f *half) run() {
	f.net.mu.Lock()
	peer := f.peer
	f.net.mu.Unlock()
	if !f.sleep(f.net.Delay) {
		return
	}
	peer.call(peer.h.LinkOpen)
	for {
		f.mu.Lock()
		var next *timedFrame
		if len(f.queue) > 0 && !f.frozen.Load() {
			next = &f.queue[0]
			f.queue = f.queue[1:]
		}
		ended := f.ended
		f.mu.Unlock()
		switch {
		case next != nil:
			if !f.sleep(time.Until(next.at)) {
				return
			}
			if !peer.call(func() { peer.h.LinkFrame(next.b) }) {
				return // not acknowledged
			}
			f.mu.Lock()
			before := f.buffered
			f.buffered -= len(next.b)
			low := before >= engine.LowWater && f.buffered < engine.LowWater
			f.mu.Unlock()
			if low {
				f.h.LinkWritable()
			}
		case ended:
			return
		default:
			<-f.wake
		}
	}
}

// sleep reports false if the half ended meanwhile.
func (f *half) sleep(d time.Duration) bool {
	if d > 0 {
		time.Sleep(d)
	}
	return !f.over()
}

// call makes one call to the handler. It reports false if the half has ended.
func (f *half) call(fn func()) bool {
	f.calls.Lock()
	defer f.calls.Unlock()
	if f.over() {
		return false
	}
	fn()
	return true
}

func (f *half) over() bool {
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
	at := time.Now().Add(f.net.Delay)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return errClosed
	}
	f.queue = append(f.queue, timedFrame{slices.Clone(b), at})
	f.buffered += len(b)
	f.notify()
	return nil
}

// Buffered implements engine.Link.
func (f *half) Buffered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.buffered
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
