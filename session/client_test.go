package session

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// process is a server process on a network in memory.
func process(t *testing.T, e *memnet.Endpoint, limits engine.Limits) *engine.Node {
	n := engine.New(engine.Config{Signaling: e, Transport: e, Limits: limits, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

func open(t *testing.T, n *engine.Node, cfg engine.RoomConfig) *engine.Room {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "demo"
	}
	r, err := n.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lone is a room that no other process takes part in.
func lone(t *testing.T) *engine.Room {
	return open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{})
}

// pipe is a Conn in memory.
type pipe struct {
	in, out chan packet
	closed  chan struct{}
	once    sync.Once
	code    int
	reason  string
}

type packet struct {
	raw    []byte
	binary bool
}

func (p *pipe) Read() ([]byte, bool, error) {
	select {
	case m := <-p.in:
		return m.raw, m.binary, nil
	case <-p.closed:
		return nil, false, fmt.Errorf("pipe closed")
	}
}

func (p *pipe) Write(messages [][]byte, binary bool, deadline time.Time) error {
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	for _, raw := range messages {
		select {
		case p.out <- packet{raw, binary}:
		case <-p.closed:
			return fmt.Errorf("pipe closed")
		case <-late.C:
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

func (p *pipe) Close(code int, reason string) {
	p.once.Do(func() {
		p.code, p.reason = code, reason
		close(p.closed)
	})
}

// client is the far end of a session.
type client struct {
	t *testing.T
	*pipe
	codec Codec
	ended chan error // what Serve returned
	id    string
}

// dial starts a session. Its client has not said hello.
func dial(t *testing.T, cfg Config) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := dialIn(ctx, t, cfg)
	t.Cleanup(cancel)
	return c
}

func dialIn(ctx context.Context, t *testing.T, cfg Config) *client {
	if cfg.Codec == nil {
		cfg.Codec = JSON
	}
	c := &client{
		t: t, codec: cfg.Codec, ended: make(chan error, 1),
		pipe: &pipe{in: make(chan packet), out: make(chan packet), closed: make(chan struct{})},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.ended <- Serve(ctx, c.pipe, cfg)
	}()
	t.Cleanup(func() { <-done })
	return c
}

// enter starts a session and takes its welcome.
func enter(t *testing.T, cfg Config) *client {
	t.Helper()
	c := dial(t, cfg)
	c.say(`{"op":"hello"}`)
	c.id = c.hear("welcome")["peer"].(string)
	return c
}

// say sends a message that is written in JSON. Bytes are {"$bin": …} in either
// encoding.
func (c *client) say(format string, args ...any) {
	c.t.Helper()
	raw := []byte(fmt.Sprintf(format, args...))
	if c.codec == MessagePack {
		// Data that is bytes needs the codec.
		m, err := JSON.Decode(raw)
		if err != nil {
			c.t.Fatalf("say %s: %v", raw, err)
		}
		raw = MessagePack.Encode(&m)
	}
	c.sayRaw(raw)
}

func (c *client) sayRaw(raw []byte) {
	c.t.Helper()
	select {
	case c.in <- packet{raw, c.codec.Binary()}:
	case <-c.closed:
		c.t.Fatalf("say %s: closed with %d %q", raw, c.code, c.reason)
	}
}

// next returns the next message, or nil once the session is closed.
func (c *client) next() map[string]any {
	c.t.Helper()
	select {
	case p := <-c.out:
		return c.read(p)
	case <-c.closed:
		return nil
	case <-time.After(time.Minute):
		c.t.Fatal("nothing came for a minute")
		return nil
	}
}

// read decodes with other libraries than the codecs use.
func (c *client) read(p packet) map[string]any {
	c.t.Helper()
	if p.binary != c.codec.Binary() {
		c.t.Fatalf("wrong type of message: %q", p.raw)
	}
	var m map[string]any
	if p.binary {
		if err := msgpack.Unmarshal(p.raw, &m); err != nil {
			c.t.Fatalf("%q: %v", p.raw, err)
		}
		if b, ok := m["data"].([]byte); ok {
			m["data"] = map[string]any{"$bin": b}
		}
		text := toJSON(c.t, m)
		m = nil
		p.raw = []byte(text)
	}
	if err := json.Unmarshal(p.raw, &m); err != nil {
		c.t.Fatalf("%s: %v", p.raw, err)
	}
	return m
}

// hear returns the next message of an op, passing over peer events.
func (c *client) hear(op string) map[string]any {
	c.t.Helper()
	for {
		m := c.next()
		switch {
		case m == nil:
			c.t.Fatalf("waiting for %s: closed with %d %q", op, c.code, c.reason)
		case m["op"] == op:
			return m
		case m["op"] != "peer":
			c.t.Fatalf("waiting for %s: got %s", op, toJSON(c.t, m))
		}
	}
}

// expect wants a message, in any order of keys, passing over peer events unless
// one is wanted.
func (c *client) expect(format string, args ...any) {
	c.t.Helper()
	text := fmt.Sprintf(format, args...)
	var want map[string]any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	got := c.hear(want["op"].(string))
	if g, w := toJSON(c.t, got), toJSON(c.t, want); g != w {
		c.t.Fatalf("got  %s\nwant %s", g, w)
	}
}

// refused wants an error of a code, with a text, about a send or none.
func (c *client) refused(code Code, seq uint64) {
	c.t.Helper()
	m := c.hear("error")
	got, _ := m["seq"].(float64)
	if m["code"] != string(code) || uint64(got) != seq || m["message"] == "" {
		c.t.Fatalf("got %s, want an error %s about %d", toJSON(c.t, m), code, seq)
	}
}

// over wants the end of the session, after whatever is still to come.
func (c *client) over(code int, reason string) {
	c.t.Helper()
	for m := c.next(); m != nil; m = c.next() {
	}
	err := <-c.ended
	c.ended <- err
	if c.code != code || !strings.HasPrefix(c.reason, reason) {
		c.t.Fatalf("closed with %d %q, want %d %q", c.code, c.reason, code, reason)
	}
	if e, ok := err.(*End); !ok || e.Code != code {
		c.t.Fatalf("Serve returned %v", err)
	}
}

// join wants the peer event of another peer, passing over those of others.
func (c *client) peer(event, id string) map[string]any {
	c.t.Helper()
	for {
		if m := c.hear("peer"); m["peer"] == id && m["event"] == event {
			return m
		}
	}
}

// eachCodec runs a test with either encoding.
func eachCodec(t *testing.T, f func(t *testing.T, codec Codec)) {
	for _, codec := range Codecs {
		t.Run(strings.TrimPrefix(codec.Subprotocol(), "genosrtc.v1."), func(t *testing.T) { f(t, codec) })
	}
}
