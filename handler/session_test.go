package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// site is a handler on a real server, and a room "demo".
type site struct {
	t      testing.TB
	h      *Handler
	server *httptest.Server
	node   *engine.Node
	room   *engine.Room
}

// newSite is a handler and a room, without a server.
func newSite(t testing.TB, cfg Config) *site {
	t.Helper()
	e := memnet.New().Endpoint("server")
	logger := slog.New(slog.DiscardHandler)
	cfg.Engine = engine.New(engine.Config{Signaling: e, Transport: e, Logger: logger})
	cfg.Logger = logger
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, h: h, node: cfg.Engine}
	s.room = s.open("demo")
	return s
}

func serve(t testing.TB, cfg Config) *site {
	t.Helper()
	s := newSite(t, cfg)
	s.server = httptest.NewServer(s.h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.h.Close(ctx); err != nil {
			t.Error(err)
		}
		s.server.Close()
		if err := s.node.Close(ctx); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func (s *site) open(name string) *engine.Room {
	s.t.Helper()
	room, err := s.node.Open(engine.RoomConfig{Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return room
}

func (s *site) url(room string) string {
	return s.server.URL + "/genosrtc/rooms/" + url.PathEscape(room) + "/ws"
}

// client is the far end of a session in JSON.
type client struct {
	t  testing.TB
	ws *websocket.Conn
	id string
}

func (s *site) dial(opts *websocket.DialOptions) *client {
	s.t.Helper()
	ws, _, err := websocket.Dial(s.t.Context(), s.url("demo"), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	s.t.Cleanup(func() { ws.CloseNow() })
	return &client{t: s.t, ws: ws}
}

// enter opens a session and takes its welcome.
func (s *site) enter() *client {
	s.t.Helper()
	c := s.dial(nil)
	c.say(`{"op":"hello"}`)
	c.id = c.hear("welcome")["peer"].(string)
	return c
}

func (c *client) say(format string, args ...any) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next message of an op, passing over peer events.
func (c *client) hear(op string) map[string]any {
	c.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
		kind, raw, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", op, err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil || kind != websocket.MessageText {
			c.t.Fatalf("got %v %q: %v", kind, raw, err)
		}
		switch m["op"] {
		case op:
			return m
		case "peer":
		default:
			c.t.Fatalf("waiting for %s: got %s", op, raw)
		}
	}
}

// over wants the end of the session, after whatever is still to come.
func (c *client) over(code websocket.StatusCode, reason string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, _, err := c.ws.Read(ctx)
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if c.ended(err, &closed); closed.Code != code || !strings.HasPrefix(closed.Reason, reason) {
			c.t.Fatalf("closed with %d %q, want %d %q", closed.Code, closed.Reason, code, reason)
		}
		return
	}
}

func (c *client) ended(err error, closed *websocket.CloseError) {
	c.t.Helper()
	if !asCloseError(err, closed) {
		c.t.Fatalf("not closed, but %v", err)
	}
}

// eventually waits for a condition that no message tells of.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestSession(t *testing.T) {
	s := serve(t, Config{})
	a, b := s.enter(), s.enter()
	a.say(`{"op":"send","seq":1,"channel":"chat","data":{"text":"hi"}}`)
	if m := a.hear("ack"); m["seq"] != 1.0 {
		t.Errorf("got %v", m)
	}
	if m := b.hear("message"); m["from"] != a.id || m["data"].(map[string]any)["text"] != "hi" {
		t.Errorf("got %v", m)
	}
	if n := s.h.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions", n)
	}
	a.say(`{"op":"leave"}`)
	a.over(websocket.StatusNormalClosure, "left")
	for {
		_, raw, err := b.ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), `"leave"`) {
			break
		}
	}
	b.ws.CloseNow()
	eventually(t, "a session did not end", func() bool { return s.h.Stats().Sessions == 0 })
	if st := s.h.Stats(); st.Opened != 2 {
		t.Errorf("%+v", st)
	}
	if st := s.room.Stats(); st.Seats != 1 { // it may come back

		t.Errorf("%+v", st)
	}
}

func TestSubprotocols(t *testing.T) {
	s := serve(t, Config{})
	const mp, js = "genosrtc.v1.msgpack", "genosrtc.v1.json"
	for _, c := range []struct {
		offer  []string
		chosen string
	}{
		{nil, ""},
		{[]string{js}, js},
		{[]string{mp}, mp},
		{[]string{js, mp}, mp},
		{[]string{mp, js}, mp},
		{[]string{"genosrtc.v2", js}, js},
		{[]string{"genosrtc.v2"}, ""},
	} {
		a := s.dial(&websocket.DialOptions{Subprotocols: c.offer})
		if got := a.ws.Subprotocol(); got != c.chosen {
			t.Errorf("offer %v: got %q, want %q", c.offer, got, c.chosen)
		}
		kind, hello := websocket.MessageText, `{"op":"hello"}`
		if c.chosen == mp {
			kind, hello = websocket.MessageBinary, "\x81\xa2op\xa5hello"
		}
		if err := a.ws.Write(t.Context(), kind, []byte(hello)); err != nil {
			t.Fatal(err)
		}
		got, raw, err := a.ws.Read(t.Context())
		if err != nil || got != kind || !strings.Contains(string(raw), "welcome") {
			t.Errorf("offer %v: got %v %q, %v", c.offer, got, raw, err)
		}
		a.ws.CloseNow()
	}
}

func TestWrongType(t *testing.T) {
	s := serve(t, Config{})
	a := s.enter()
	if err := a.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"op":"leave"}`)); err != nil {
		t.Fatal(err)
	}
	a.over(websocket.StatusUnsupportedData, "")
}

// TestSizes: all that limits.message allows passes, whatever its encoding costs;
// what is above the read limit ends the session.
func TestSizes(t *testing.T) {
	const limit = 300_000
	s := serve(t, Config{Settings: Settings{Limits: Limits{Message: limit}}})
	a, b := s.enter(), s.enter()
	data := strings.Repeat("AAAA", limit/3)
	a.say(`{"op":"send","seq":1,"channel":"c","data":{"$bin":%q}}`, data)
	a.hear("ack")
	if m := b.hear("message"); m["data"].(map[string]any)["$bin"] != data {
		t.Error("the message did not arrive equal")
	}
	a.say(`{"op":"send","seq":2,"channel":"c","data":%q}`, strings.Repeat("x", limit+1))
	if m := a.hear("error"); m["code"] != "too_large" || m["seq"] != 2.0 {
		t.Errorf("got %v", m)
	}
	a.hear("ack")
	a.say(`{"op":"leave","x":%q}`, strings.Repeat("x", 2*limit+readHeadroom))
	a.over(websocket.StatusMessageTooBig, "")
	b.say(`{"op":"ping","id":1}`) // is not concerned
	b.hear("pong")
}

func TestErrorsEndSessions(t *testing.T) {
	s := serve(t, Config{})
	a := s.dial(nil)
	a.say(`{"op":"ping","id":1}`)
	if m := a.hear("error"); m["code"] != "hello_expected" {
		t.Errorf("got %v", m)
	}
	a.over(websocket.StatusProtocolError, "")

	b := s.enter()
	for range 100 {
		b.say(`no JSON`)
		b.hear("error")
	}
	if m := b.hear("error"); m["code"] != "too_many_errors" {
		t.Errorf("got %v", m)
	}
	b.over(websocket.StatusPolicyViolation, "")
	if st := s.h.Stats(); st.Errors["bad_message"] != 100 || st.Errors["hello_expected"] != 1 {
		t.Errorf("%+v", st)
	}
}

// TestSlowClient: a client that does not read is cut off, while others get
// everything.
func TestSlowClient(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Limits: Limits{Pending: 1 << 20}}})
	slow, good, sender := s.enter(), s.enter(), s.enter()
	data := strings.Repeat("x", 100_000)
	seq := 0
	for s.node.Stats().SlowSeats == 0 {
		seq++
		sender.say(`{"op":"send","seq":%d,"channel":"c","data":"%d%s"}`, seq, seq, data)
		sender.hear("ack")
		if got := good.hear("message")["data"]; got != fmt.Sprint(seq)+data {
			t.Fatalf("message %d arrived as %.20v", seq, got)
		}
	}
	slow.over(websocket.StatusTryAgainLater, "slow: more than 1048576 bytes waiting")
	eventually(t, "it was not counted", func() bool { return s.h.Stats().Slow == 1 })
	sender.say(`{"op":"send","seq":%d,"channel":"c","data":"after"}`, seq+1)
	if got := good.hear("message")["data"]; got != "after" {
		t.Errorf("got %.20v", got)
	}
}

func TestRoomCloses(t *testing.T) {
	s := serve(t, Config{})
	a := s.enter()
	if err := s.room.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.over(websocket.StatusGoingAway, "room closed")
}

func TestClose(t *testing.T) {
	s := serve(t, Config{})
	clients := []*client{s.enter(), s.enter(), s.dial(nil)} // one has not said hello
	closed := make(chan error)
	go func() { closed <- s.h.Close(context.Background()) }()
	for _, c := range clients {
		c.over(websocket.StatusGoingAway, "server stopping")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n := s.h.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	p := get(t, s.url("demo"), nil)
	p.want(http.StatusServiceUnavailable)
	if p.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if err := s.h.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCloseHurries: clients that do not answer the closing handshake cannot
// hold up the server.
func TestCloseHurries(t *testing.T) {
	s := serve(t, Config{})
	for range 3 {
		s.enter() // and does not read
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.h.Close(ctx); err == nil {
		t.Error("no error")
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("closing took %v", d)
	}
	if n := s.h.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestConfigure: settings change for those who come later.
func TestConfigure(t *testing.T) {
	s := serve(t, Config{})
	a := s.enter()
	err := s.h.Configure(Settings{
		Rooms:  func(name string) bool { return name == "other" },
		Limits: Limits{Message: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	get(t, s.url("demo"), nil).want(http.StatusNotFound)
	a.say(`{"op":"send","seq":1,"channel":"c","data":"more than 10 bytes"}`)
	a.hear("ack")
	if err := s.h.Configure(Settings{Origins: []string{"example.com"}}); err == nil {
		t.Error("an origin without scheme was taken")
	}
	get(t, s.url("demo"), nil).want(http.StatusNotFound)
}

// TestResume: a session goes on over another WebSocket, and the one that it was
// on is told.
func TestResume(t *testing.T) {
	s := serve(t, Config{})
	a := s.enter()
	b := s.dial(nil)
	b.say(`{"op":"hello"}`)
	w := b.hear("welcome")
	for range 2 {
		again := s.dial(nil)
		again.say(`{"op":"hello","resume":%q}`, w["resume"])
		if got := again.hear("welcome"); got["resumed"] != true || got["peer"] != w["peer"] {
			t.Errorf("got %v", got)
		}
		b.over(4000, "resumed elsewhere")
		b = again
	}
	b.ws.CloseNow()
	eventually(t, "the WebSocket was not closed", func() bool { return s.h.Stats().Sessions == 1 })
	a.say(`{"op":"send","seq":1,"channel":"chat","data":1}`)
	a.hear("ack")
	b = s.dial(nil)
	b.say(`{"op":"hello","resume":%q}`, w["resume"])
	b.hear("welcome")
	b.hear("message")
	if st := s.node.Stats(); st.SeatsResumed != 3 {
		t.Errorf("%+v", st)
	}
}
