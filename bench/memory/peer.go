package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// syncChannel carries the graph (docs/protocol.md, "Sync").
const syncChannel = "syncGraph"

// linkWithin is how long a link may take to open.
const linkWithin = 30 * time.Second

// What may wait on the link before a writer is held back, and when it goes on.
const (
	highWater = 1 << 20
	lowWater  = 256 << 10
)

// operation is one of the sync protocol, as far as this program needs it.
type operation struct {
	Type       string                     `json:"type"`
	ID         string                     `json:"id,omitempty"`
	Value      json.RawMessage            `json:"value,omitempty"`
	Timestamp  *graph.Timestamp           `json:"timestamp"`
	Operations []operation                `json:"operations,omitempty"`
	GraphData  map[string]json.RawMessage `json:"graphData,omitempty"`
}

// peer takes part in the sync room as a page does, without a browser's cost: the
// load is the same for every server. It holds no graph of its own.
type peer struct {
	id        string
	pool      *signaling.Pool
	transport *rtc.Transport
	room      engine.SignalingRoom
	signals   chan engine.Signal
	link      engine.Link
	opened    chan struct{}
	closed    chan struct{}
	writable  chan struct{}
	openedAt  time.Time

	nonce byte
	clock graph.Timestamp

	// Of the link's reader.
	frames *frame.Reassembler
	mu     sync.Mutex
	bytes  int
	nodes  map[string]struct{} // that were received
	heard  chan struct{}       // something was received
}

// connect links with the one other peer of the room, from a local address.
func connect(ctx context.Context, relay, ip string) (_ *peer, err error) {
	p := &peer{
		// The greatest of all ids makes the offer when both do.
		id:       "z" + rand.Text()[:19],
		signals:  make(chan engine.Signal, 16),
		opened:   make(chan struct{}),
		closed:   make(chan struct{}),
		writable: make(chan struct{}, 1),
		heard:    make(chan struct{}, 1),
		frames:   frame.NewReassembler(frame.Limits{}),
		nodes:    make(map[string]struct{}),
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	quiet := slog.New(slog.DiscardHandler)
	if p.pool, err = signaling.NewPool(signaling.Config{Relays: []string{relay}, Logger: quiet}); err != nil {
		return nil, err
	}
	if p.transport, err = rtc.New(rtc.Config{UDP: net.JoinHostPort(ip, "0"), Logger: quiet}); err != nil {
		return nil, err
	}
	p.room, err = p.pool.Open(engine.SyncRoom(database), "", func(s engine.Signal) {
		select {
		case p.signals <- s:
		default: // more than we need
		}
	})
	if err != nil {
		return nil, err
	}
	p.room.Host(p.id)
	ctx, cancel := context.WithTimeout(ctx, linkWithin)
	defer cancel()
	if err := p.dial(ctx); err != nil {
		return nil, fmt.Errorf("link with the server: %w", err)
	}
	return p, nil
}

// dial offers a link to the first peer that is heard.
func (p *peer) dial(ctx context.Context) error {
	announce := time.NewTicker(200 * time.Millisecond) // lost until the relay is connected
	defer announce.Stop()
	other := ""
	for {
		select {
		case <-announce.C:
			if other == "" {
				p.room.Announce(p.id, "")
			}
		case s := <-p.signals:
			switch {
			case other == "" && (s.Kind == engine.Announce || s.Kind == engine.Offer):
				other = s.From
				link, sdp, err := p.transport.Offer(ctx, p)
				if err != nil {
					return err
				}
				p.link = link
				p.room.Offer("", p.id, other, "", sdp)
			case s.Kind == engine.Answer && s.From == other:
				if err := p.link.Accept(ctx, s.SDP); err != nil {
					return err
				}
			}
		case <-p.opened:
			p.link.WakeAt(lowWater)
			return nil
		case <-p.closed:
			return errors.New("the link was closed before it opened")
		case <-ctx.Done():
			return fmt.Errorf("it did not open within %v", linkWithin)
		}
	}
}

// close ends the link without a word to the server.
func (p *peer) close() {
	if p.link != nil {
		_ = p.link.Close()
	}
	if p.room != nil {
		p.room.Bye(p.id)
		p.room.Close()
	}
	if p.transport != nil {
		_ = p.transport.Close()
	}
	if p.pool != nil {
		_ = p.pool.Close(context.Background())
	}
}

// LinkOpen implements engine.LinkHandler, as do those that follow.
func (p *peer) LinkOpen() {
	p.openedAt = time.Now()
	close(p.opened)
}

// LinkFrame answers pings and counts nodes.
func (p *peer) LinkFrame(b []byte) {
	m, _, err := p.frames.Push(b)
	p.mu.Lock()
	p.bytes += len(b)
	p.mu.Unlock()
	switch {
	case err != nil || m == nil:
	case m.Channel == "@_ping":
		if pong, err := frame.Encode("@_pong", 0, engine.Content{}); err == nil {
			_ = p.link.Send(pong[0]) // an error is the link's end
		}
	case m.Channel == syncChannel:
		var ops []operation
		if json.Unmarshal(m.Content.Data, &ops) == nil {
			p.take(ops)
		}
	}
}

func (p *peer) take(ops []operation) {
	p.mu.Lock()
	for _, o := range ops {
		for id := range o.GraphData {
			p.nodes[id] = struct{}{}
		}
		for _, o := range append(o.Operations, o) {
			if o.Type == "upsert" {
				p.nodes[o.ID] = struct{}{}
			}
		}
	}
	p.mu.Unlock()
	wake(p.heard)
}

func (p *peer) LinkJunk(engine.Junk) {}
func (p *peer) LinkWritable()        { wake(p.writable) }
func (p *peer) LinkClosed(error)     { close(p.closed) }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put sends nodes, new or changed, in one message, as a page does with all that it
// puts within a moment.
func (p *peer) put(ctx context.Context, nodes ...node) error {
	ops := make([]operation, len(nodes))
	for i, n := range nodes {
		p.clock.Physical = max(p.clock.Physical, time.Now().UnixMilli())
		p.clock.Logical++
		at := p.clock
		ops[i] = operation{Type: "upsert", ID: n.id, Value: n.value, Timestamp: &at}
	}
	return p.send(ctx, ops)
}

// message is how many puts putAll sends in one message.
const message = 50

// putAll puts nodes as fast as the link takes them.
func (p *peer) putAll(ctx context.Context, nodes []node) error {
	for some := range slices.Chunk(nodes, message) {
		if err := p.put(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

func (p *peer) send(ctx context.Context, ops []operation) error {
	text, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	frames, err := frame.Encode(syncChannel, p.nonce, engine.Content{Kind: engine.JSON, Data: text})
	if err != nil {
		return err
	}
	p.nonce++
	for _, f := range frames {
		for p.link.Buffered() > highWater {
			select {
			case <-p.writable:
			case <-p.closed:
				return errors.New("the server closed the link")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := p.link.Send(f); err != nil {
			return err
		}
	}
	return nil
}

// catchUp asks for all nodes, and waits until there are so many. It returns how
// long that took from the opening of the link, and the bytes of all frames.
func (p *peer) catchUp(ctx context.Context, want int) (time.Duration, int, error) {
	if err := p.send(ctx, []operation{{Type: "sync"}}); err != nil {
		return 0, 0, err
	}
	for {
		p.mu.Lock()
		have, bytes := len(p.nodes), p.bytes
		p.mu.Unlock()
		if have >= want {
			return time.Since(p.openedAt), bytes, nil
		}
		select {
		case <-p.heard:
		case <-p.closed:
			return 0, 0, fmt.Errorf("the server closed the link after %d of %d nodes", have, want)
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("%d of %d nodes: %w", have, want, ctx.Err())
		}
	}
}
