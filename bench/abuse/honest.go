package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// honest are the peers that must not notice an attack, each on an address of
// its own.
type honest struct {
	script    []announce
	byID      map[string]int // in script
	start     time.Time
	peers     []*peer
	delivered atomic.Int64

	readers sync.WaitGroup
	closing atomic.Bool
	mu      sync.Mutex
	trouble []error
}

type peer struct {
	conn      *wsload.Conn
	ready     chan struct{} // closed when all subscriptions are confirmed
	heard     []bool        // by announce
	latencies []time.Duration
}

// expected is how many deliveries there are when all are made: everybody hears
// everything, what it said itself too.
func (h *honest) expected() int64 { return int64(len(h.script)) * int64(len(h.peers)) }

// join connects and subscribes the peers, as browsers do.
func join(ctx context.Context, url string, n int, script []announce) (*honest, error) {
	h := &honest{script: script, byID: map[string]int{}}
	for i, a := range script {
		h.byID[a.event.ID] = i
	}
	for i := range n {
		conn, err := wsload.Dial(ctx, url, fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250))
		if err != nil {
			h.leave()
			return nil, fmt.Errorf("honest peer %d of %d: %w", i+1, n, err)
		}
		p := &peer{conn: conn, ready: make(chan struct{}), heard: make([]bool, len(script))}
		h.peers = append(h.peers, p)
		h.readers.Go(func() { h.listen(p) })
		for _, room := range rooms {
			for _, topic := range []string{signaling.RootTopic(room), signaling.SelfTopic(room, peerName(i))} {
				if err := conn.Send(browser.Subscribe(topic, time.Now())); err != nil {
					h.leave()
					return nil, fmt.Errorf("subscribing: %w", err)
				}
			}
		}
	}
	timeout := time.After(wsload.ReadyWithin)
	for _, p := range h.peers {
		select {
		case <-p.ready:
			continue
		case <-ctx.Done():
		case <-timeout:
		}
		h.leave()
		return nil, errors.Join(errors.New("not every subscription was confirmed"), ctx.Err(), errors.Join(h.trouble...))
	}
	return h, nil
}

// leave ends all connections. Nothing changes any more then.
func (h *honest) leave() {
	h.closing.Store(true)
	for _, p := range h.peers {
		p.conn.Close()
	}
	h.readers.Wait()
}

func (h *honest) listen(p *peer) {
	confirmed := 0
	for {
		text, err := p.conn.Next()
		if err != nil {
			h.note(fmt.Errorf("an honest peer lost its connection: %w", err))
			return
		}
		switch {
		case bytes.HasPrefix(text, []byte(`["EVENT",`)):
			if err := h.hear(p, text); err != nil {
				h.note(err)
			}
		case bytes.HasPrefix(text, []byte(`["EOSE",`)):
			if confirmed++; confirmed == 2*len(rooms) {
				close(p.ready)
			}
		case bytes.HasPrefix(text, []byte(`["OK",`)) && bytes.HasSuffix(text, []byte(`,true,""]`)):
		default:
			h.note(fmt.Errorf("an honest peer was told %.200q", text))
		}
	}
}

// hear takes a delivery. It must be of something honest, come once, and not
// before it was said: what came then was the forged copy.
func (h *honest) hear(p *peer, text []byte) error {
	now := time.Now()
	_, rest, _ := bytes.Cut(text, []byte(`"id":"`))
	i, ok := h.byID[string(rest[:min(len(rest), 64)])]
	if !ok {
		return fmt.Errorf("nobody honest said %.200q", text)
	}
	latency := now.Sub(h.start.Add(h.script[i].at))
	switch {
	case p.heard[i]:
		return errors.New("an announce was delivered twice")
	case latency < 0:
		return errors.New("an announce was delivered before it was sent")
	}
	p.heard[i] = true
	p.latencies = append(p.latencies, latency)
	h.delivered.Add(1)
	return nil
}

func (h *honest) note(err error) {
	if h.closing.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble = append(h.trouble, err)
}

// play says everything when it is due, and waits until it is delivered, or
// nothing more comes.
func (h *honest) play(ctx context.Context) error {
	for _, a := range h.script {
		if err := sleepUntil(ctx, h.start.Add(a.at)); err != nil {
			return err
		}
		if err := h.peers[a.peer].conn.Send(a.event.Frame); err != nil {
			h.note(fmt.Errorf("announcing: %w", err))
		}
	}
	// quietFor is how long nothing may arrive until what is missing is lost.
	const quietFor = 3 * time.Second
	before, since := h.delivered.Load(), time.Now()
	for before < h.expected() && time.Since(since) < quietFor {
		if err := sleepUntil(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			return err
		}
		if n := h.delivered.Load(); n != before {
			before, since = n, time.Now()
		}
	}
	return nil
}

// latencies returns those of all deliveries, from when they were due, in
// ascending order. Everybody has left.
func (h *honest) latencies() []time.Duration {
	var all []time.Duration
	for _, p := range h.peers {
		all = append(all, p.latencies...)
	}
	slices.Sort(all)
	return all
}

func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
