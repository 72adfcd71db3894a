package genosrtc

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// client is a WebSocket client of the session protocol, in JSON.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	peer string
	seq  int
}

type message struct {
	Op       string `json:"op"`
	Peer     string `json:"peer,omitempty"`
	From     string `json:"from,omitempty"`
	Identity string `json:"identity,omitempty"`
	Password string `json:"password,omitempty"`
	Code     string `json:"code,omitempty"`
	Seq      int    `json:"seq,omitempty"`
	Channel  string `json:"channel,omitempty"`
	Data     string `json:"data,omitempty"`
}

// serve serves a site of the server and returns its URL.
func serve(t *testing.T, s *Server, site Site) string {
	t.Helper()
	h, err := s.Handler(site)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL + "/genosrtc"
}

// dial tries to open a room's WebSocket; status is the answer's.
func dial(t *testing.T, url, room string) (conn *websocket.Conn, status int) {
	t.Helper()
	conn, response, err := websocket.Dial(within(t), wsURL(url)+"/rooms/"+room+"/ws", nil)
	if response == nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
	}
	return conn, response.StatusCode
}

func wsURL(url string) string { return "ws" + strings.TrimPrefix(url, "http") }

// within is a context for what should take no time.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// hello opens a session and returns the first answer.
func hello(t *testing.T, url, room, password string) (*client, message) {
	t.Helper()
	conn, status := dial(t, url, room)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("room %s: status %d", room, status)
	}
	c := &client{t: t, conn: conn}
	c.write(message{Op: "hello", Password: password})
	m := c.read()
	c.peer = m.Peer
	return c, m
}

func join(t *testing.T, url, room, password string) *client {
	t.Helper()
	c, m := hello(t, url, room, password)
	if m.Op != "welcome" {
		t.Fatalf("room %s: got %+v, not welcome", room, m)
	}
	return c
}

func (c *client) write(m message) {
	c.t.Helper()
	if err := wsjson.Write(within(c.t), c.conn, m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() message {
	c.t.Helper()
	var m message
	if err := wsjson.Read(within(c.t), c.conn, &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// say sends a text that the other client then hears.
func (c *client) say(text string, other *client) {
	c.t.Helper()
	c.seq++
	c.write(message{Op: "send", Seq: c.seq, Channel: "chat", Data: text})
	for {
		m := other.read()
		if m.Op == "message" {
			if m.Data != text || m.From != c.peer {
				c.t.Fatalf("heard %+v, not %q", m, text)
			}
			return
		}
	}
}

// ended returns the code and reason with which the server closed the session.
func (c *client) ended() (websocket.StatusCode, string) {
	c.t.Helper()
	for {
		var m message
		err := wsjson.Read(within(c.t), c.conn, &m)
		if end, ok := errors.AsType[websocket.CloseError](err); ok {
			return end.Code, end.Reason
		}
		if err != nil {
			c.t.Fatalf("the session was not closed: %v", err)
		}
	}
}
