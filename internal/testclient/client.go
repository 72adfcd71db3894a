// Package testclient is a WebSocket client of the session protocol
// (docs/gateway.md) for tests. What goes wrong fails the test.
package testclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// Client is one session. It is for one goroutine.
type Client struct {
	Welcome Message

	t    testing.TB
	conn *websocket.Conn
	seq  int
}

// Message is a message in JSON, with the fields that tests look at.
type Message struct {
	Op       string `json:"op"`
	Peer     string `json:"peer,omitempty"`
	From     string `json:"from,omitempty"`
	Identity string `json:"identity,omitempty"`
	User     string `json:"user,omitempty"`
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
	Resume   string `json:"resume,omitempty"`
	Resumed  bool   `json:"resumed,omitempty"`
	Code     string `json:"code,omitempty"`
	Seq      int    `json:"seq,omitempty"`
	Channel  string `json:"channel,omitempty"`
	Data     string `json:"data,omitempty"`
}

// HTTP uses each connection once: a server that was reloaded meanwhile may have
// closed those that were idle.
var HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// WebSocketURL is an http URL as that of a WebSocket.
func WebSocketURL(url string) string { return "ws" + strings.TrimPrefix(url, "http") }

// Dial tries to open the WebSocket of a room; url is that of the site's path,
// header the request's. The status is 101 if it succeeded.
func Dial(t testing.TB, url, room string, header http.Header) (*websocket.Conn, int) {
	t.Helper()
	return DialAt(t, WebSocketURL(url)+"/rooms/"+room+"/ws", header)
}

// DialAt is Dial with the whole URL.
func DialAt(t testing.TB, url string, header http.Header) (*websocket.Conn, int) {
	t.Helper()
	ctx := Within(t)
	for {
		conn, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header, HTTPClient: HTTP})
		switch {
		case err == nil:
			t.Cleanup(func() { conn.CloseNow() })
			return conn, response.StatusCode
		case response != nil:
			return nil, response.StatusCode
		case ctx.Err() != nil:
			t.Fatalf("dial %s: %v", url, err)
		}
		// Caddy resets a connection that meets the end of a listener.
	}
}

// Hello opens a WebSocket, says hello, and returns the first answer.
func Hello(t testing.TB, url, room, password string) (*Client, Message) {
	t.Helper()
	return Greet(t, url, room, nil, Message{Password: password})
}

// Greet is Hello with any hello, in a request with any header.
func Greet(t testing.TB, url, room string, header http.Header, hello Message) (*Client, Message) {
	t.Helper()
	return greet(t, WebSocketURL(url)+"/rooms/"+room+"/ws", header, hello)
}

// GreetAt is Greet with the whole URL, and no header.
func GreetAt(t testing.TB, url string, hello Message) (*Client, Message) {
	t.Helper()
	return greet(t, url, nil, hello)
}

func greet(t testing.TB, url string, header http.Header, hello Message) (*Client, Message) {
	t.Helper()
	conn, status := DialAt(t, url, header)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("%s: status %d", url, status)
	}
	c := &Client{t: t, conn: conn}
	hello.Op = "hello"
	c.write(hello)
	c.Welcome = c.read()
	return c, c.Welcome
}

// Join opens a session.
func Join(t testing.TB, url, room, password string) *Client {
	t.Helper()
	c, m := Hello(t, url, room, password)
	if m.Op != "welcome" {
		t.Fatalf("room %s: answered with %+v", room, m)
	}
	return c
}

// Say sends a text, which the other session then hears.
func (c *Client) Say(text string, other *Client) {
	c.t.Helper()
	c.SayOn("chat", text, other)
}

// SayOn is Say on any channel. It is the first message that the other hears.
func (c *Client) SayOn(channel, text string, other *Client) {
	c.t.Helper()
	c.seq++
	c.write(Message{Op: "send", Seq: c.seq, Channel: channel, Data: text})
	for {
		if m := other.read(); m.Op == "message" {
			if m.Data != text || m.From != c.Welcome.Peer {
				c.t.Fatalf("heard %+v, not %q of %s", m, text, c.Welcome.Peer)
			}
			return
		}
	}
}

// Refused sends a text, which the server refuses with a code.
func (c *Client) Refused(text, code string) {
	c.t.Helper()
	c.seq++
	c.write(Message{Op: "send", Seq: c.seq, Channel: "chat", Data: text})
	for {
		if m := c.read(); m.Op == "error" {
			if m.Code != code || m.Seq != c.seq {
				c.t.Fatalf("refused with %+v, not %s", m, code)
			}
			return
		}
	}
}

// Ended waits for the server to close the session.
func (c *Client) Ended() (code websocket.StatusCode, reason string) {
	c.t.Helper()
	for {
		var m Message
		err := wsjson.Read(Within(c.t), c.conn, &m)
		if end, ok := errors.AsType[websocket.CloseError](err); ok {
			return end.Code, end.Reason
		}
		if err != nil {
			c.t.Fatalf("the session was not closed by the server: %v", err)
		}
	}
}

func (c *Client) write(m Message) {
	c.t.Helper()
	if err := wsjson.Write(Within(c.t), c.conn, m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Client) read() (m Message) {
	c.t.Helper()
	if err := wsjson.Read(Within(c.t), c.conn, &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// Within is a context for what takes no time where nothing is wrong.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Eventually waits for a condition.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}
