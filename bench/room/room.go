package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/histogram"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// room is a script being played: every peer is a connection that subscribes to
// the topics of both rooms and announces itself in both, as a browser's is.
type room struct {
	*script
	byID      map[string]int // announces, by their event
	start     time.Time
	peers     []*peer
	delivered atomic.Int64
	latencies histogram.Histogram

	readers sync.WaitGroup
	mu      sync.Mutex
	trouble error // the first of it
	closing bool
}

type peer struct {
	conn  *wsload.Conn
	ready sync.WaitGroup // the EOSEs to come
	heard []bool         // by announce
}

// expected is how many deliveries there are when all are made: everybody hears
// every announce, its own too.
func (r *room) expected() int64 { return int64(len(r.announces)) * int64(len(r.names)) }

// join connects the peers of a script, so many from each loopback address.
func join(ctx context.Context, url string, s *script, perAddress int) (*room, error) {
	r := &room{script: s, byID: map[string]int{}}
	for i, a := range s.announces {
		r.byID[a.event.ID] = i
	}
	for i, name := range s.names {
		from := ""
		if block := i / perAddress; block > 0 {
			from = fmt.Sprintf("127.0.%d.%d", block/250, 1+block%250)
		}
		conn, err := wsload.Dial(ctx, url, from)
		if err != nil {
			r.leave()
			return nil, fmt.Errorf("peer %d of %d: %w", i+1, len(s.names), err)
		}
		p := &peer{conn: conn, heard: make([]bool, len(s.announces))}
		r.peers = append(r.peers, p)
		p.ready.Add(2 * len(rooms))
		r.readers.Go(func() { r.listen(p) })
		for _, room := range rooms {
			for _, topic := range []string{signaling.RootTopic(room), signaling.SelfTopic(room, name)} {
				if err := conn.Send(browser.Subscribe(topic, time.Now())); err != nil {
					r.leave()
					return nil, fmt.Errorf("subscribing: %w", err)
				}
			}
		}
	}
	return r, r.allReady(ctx)
}

// allReady waits until every subscription is confirmed.
func (r *room) allReady(ctx context.Context) error {
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		for _, p := range r.peers {
			p.ready.Wait()
		}
	}()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	case <-time.After(wsload.ReadyWithin):
	}
	r.leave() // ends the readers, and with them the waits
	<-ready
	return errors.Join(errors.New("not every subscription was confirmed"), r.firstTrouble(), ctx.Err())
}

// leave ends all connections.
func (r *room) leave() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	for _, p := range r.peers {
		p.conn.Close()
	}
	r.readers.Wait()
}

// listen takes what a peer is sent.
func (r *room) listen(p *peer) {
	confirmed := 0
	defer func() {
		for range 2*len(rooms) - confirmed {
			p.ready.Done()
		}
	}()
	for {
		text, err := p.conn.Next()
		if err != nil {
			r.note(fmt.Errorf("a peer lost its connection: %w", err))
			return
		}
		switch {
		case bytes.HasPrefix(text, []byte(`["EVENT",`)):
			if err := r.hear(p, text); err != nil {
				r.note(err)
			}
		case bytes.HasPrefix(text, []byte(`["EOSE",`)) && confirmed < 2*len(rooms):
			confirmed++
			p.ready.Done()
		case bytes.HasPrefix(text, []byte(`["OK",`)) && bytes.Contains(text, []byte(`",true,`)):
		default:
			r.note(fmt.Errorf("the relay sent %.200q", text))
		}
	}
}

// idKey precedes an event's id; in content its quotes would be escaped.
const idKey = `"id":"`

func (r *room) hear(p *peer, text []byte) error {
	now := time.Now()
	_, rest, _ := bytes.Cut(text, []byte(idKey))
	i, ok := r.byID[string(rest[:min(len(rest), 64)])]
	switch {
	case !ok:
		return fmt.Errorf("nobody announced %.200q", text)
	case p.heard[i]:
		return errors.New("an announce was delivered twice")
	}
	p.heard[i] = true
	r.delivered.Add(1)
	r.latencies.Add(now.Sub(r.start.Add(r.announces[i].at)))
	return nil
}

// note keeps the first thing that went wrong.
func (r *room) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil && !r.closing {
		r.trouble = err
	}
}

func (r *room) firstTrouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// play sends every announce when it is due, whatever became of those before.
func (r *room) play(ctx context.Context) error {
	for _, a := range r.announces {
		select {
		case <-time.After(time.Until(r.start.Add(a.at))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.peers[a.peer].conn.Send(a.event.Frame); err != nil {
			r.note(fmt.Errorf("announcing: %w", err))
		}
	}
	return nil
}

// quietFor is how long nothing may arrive until what is missing counts as lost.
const quietFor = 3 * time.Second

// drain waits until all deliveries are made, or no more come.
func (r *room) drain(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	before, since := r.delivered.Load(), time.Now()
	for before < r.expected() && time.Since(since) < quietFor {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n := r.delivered.Load(); n != before {
			before, since = n, time.Now()
		}
	}
	return nil
}
