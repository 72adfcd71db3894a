package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T, net *memnet.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { settle(time.Second) }) // what is under way in the network ends
		f(t, memnet.New())
	})
}

// serve opens a node with a room named demo.
func serve(t *testing.T, net *memnet.Network, name string, cfg engine.RoomConfig, limits engine.Limits) (*engine.Node, *engine.Room) {
	t.Helper()
	return serveAt(t, net.Endpoint(name), cfg, limits)
}

// serveAt is serve where the test has the endpoint.
func serveAt(t *testing.T, e *memnet.Endpoint, cfg engine.RoomConfig, limits engine.Limits) (*engine.Node, *engine.Room) {
	t.Helper()
	n := engine.New(engine.Config{Signaling: e, Transport: e, Limits: limits, Jitter: func() float64 { return 0.5 }, Logger: slog.New(slog.DiscardHandler)})
	if cfg.Name == "" {
		cfg.Name = "demo"
	}
	r, err := n.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close node: %v", err)
		}
	})
	return n, r
}

// client is a seat whose events are collected.
type client struct {
	*engine.Attachment
	t       *testing.T
	welcome []engine.Peer

	mu     sync.Mutex
	events []engine.Event
	err    error
	done   chan struct{}
}

func join(t *testing.T, r *engine.Room, cfg engine.SeatConfig) *client {
	t.Helper()
	s, peers, err := r.Join(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return attached(t, s, peers)
}

// attached collects the events of an attachment.
func attached(t *testing.T, s *engine.Attachment, peers []engine.Peer) *client {
	c := &client{Attachment: s, t: t, welcome: peers, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		var buf []engine.Event
		for {
			events, err := s.Next(context.Background(), buf[:0])
			c.mu.Lock()
			c.events = append(c.events, events...)
			c.err = err
			c.mu.Unlock()
			if err != nil {
				return
			}
			for _, e := range events {
				if e, ok := e.(engine.PingRequest); ok {
					s.Pong(e.Token)
				}
			}
		}
	}()
	t.Cleanup(func() { s.Leave(); <-c.done })
	return c
}

func (c *client) send(channel string, content engine.Content, to ...string) {
	c.t.Helper()
	if err := c.Send(c.t.Context(), engine.Outgoing{Channel: channel, Content: content, To: to}); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

func (c *client) all() []engine.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// of returns the client's events of one type.
func of[E engine.Event](c *client) []E {
	var list []E
	for _, e := range c.all() {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// peers are those that the client is connected with by now.
func (c *client) peers() map[string]string {
	m := map[string]string{}
	for _, p := range c.welcome {
		m[p.ID] = p.Type
	}
	for _, e := range of[engine.PeerEvent](c) {
		switch e.Change {
		case engine.PeerJoin:
			if _, twice := m[e.Peer.ID]; twice {
				c.t.Errorf("%s joined twice", e.Peer.ID)
			}
			m[e.Peer.ID] = e.Peer.Type
		case engine.PeerLeave:
			if _, known := m[e.Peer.ID]; !known {
				c.t.Errorf("%s left without having joined", e.Peer.ID)
			}
			delete(m, e.Peer.ID)
		}
	}
	return m
}

// settle lets everything happen that is under way, and time pass.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func text(s string) engine.Content { return engine.Content{Kind: engine.Text, Data: []byte(s)} }

func serverID(c *client) string {
	for _, p := range c.welcome {
		if p.Type == engine.TypeServer {
			return p.ID
		}
	}
	c.t.Fatal("no server among the peers")
	return ""
}

func describe(m *engine.Message) string {
	return fmt.Sprintf("%s/%s/%d:%s+%s", m.From, m.Channel, m.Content.Kind, m.Content.Data, m.Content.Meta)
}
