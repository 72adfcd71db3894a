package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// script is a server that does with each connection what a test says. It works
// over pipes, so that tests have virtual time.
type script struct {
	pipes  chan net.Conn
	closed chan struct{}
	http   *http.Server
	served sync.WaitGroup
}

// serve runs a script in a synctest bubble. handle is called for each WebSocket
// with its number, from 1; refuse, if not nil, may answer a request instead.
func serve(t testing.TB, handle func(n int, c *served), refuse func(n int, w http.ResponseWriter) bool) *script {
	s := &script{pipes: make(chan net.Conn), closed: make(chan struct{})}
	var mu sync.Mutex
	requests, sockets := 0, 0
	s.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		requests++
		n := requests
		mu.Unlock()
		if refuse != nil && refuse(n, w) {
			return
		}
		ws, err := websocket.Accept(w, q, &websocket.AcceptOptions{Subprotocols: []string{"genosrtc.v1.msgpack", "genosrtc.v1.json"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(readLimit)
		mu.Lock()
		sockets++
		n = sockets
		mu.Unlock()
		c := &served{ws: ws, codec: msgpackCodec{}, url: q.URL.EscapedPath()}
		if ws.Subprotocol() == "genosrtc.v1.json" {
			c.codec = jsonCodec{}
		}
		defer func() {
			if e := recover(); e != nil && e != errOver {
				t.Errorf("connection %d: %v", n, e)
			}
		}()
		handle(n, c)
	})}
	s.served.Go(func() { s.http.Serve(s) })
	return s
}

// close ends the server and what it serves.
func (s *script) close() {
	s.http.Close()
	s.served.Wait()
}

func (s *script) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case s.pipes <- there:
			return here, nil
		case <-s.closed:
			return nil, errors.New("the server is closed")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
}

func (s *script) Accept() (net.Conn, error) {
	select {
	case c := <-s.pipes:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *script) Close() error {
	close(s.closed)
	return nil
}

func (s *script) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// served is a connection of a script. Its methods end the handler when the
// client is gone.
type served struct {
	ws    *websocket.Conn
	codec codec
	url   string
}

var errOver = errors.New("the client is gone")

func (c *served) next() *frame {
	_, raw, err := c.ws.Read(context.Background())
	if err != nil {
		panic(errOver)
	}
	f, err := c.codec.decode(raw)
	if err != nil {
		panic(err)
	}
	return f
}

// expect reads up to a message of that operation.
func (c *served) expect(op string) *frame {
	for {
		if f := c.next(); f.Op == op {
			return f
		}
	}
}

func (c *served) say(f *frame) {
	raw, err := c.codec.encode(f)
	if err != nil {
		panic(err)
	}
	if err := c.ws.Write(context.Background(), c.codec.messageType(), raw); err != nil {
		panic(errOver)
	}
}

// welcome reads the hello and answers it.
func (c *served) welcome(f frame) *frame {
	hello := c.expect(opHello)
	f.Op, f.Room = opWelcome, "demo"
	if f.Peer == "" {
		f.Peer = "me"
	}
	if f.Resume == "" {
		f.Resume = "token"
	}
	f.Limits = &limits{Message: 2 << 20, Pending: 8 << 20, Resume: 120, Window: 256 << 10}
	c.say(&f)
	return hello
}

// message is one from "other", with its seq as data.
func message(seq uint64) *frame {
	return &frame{Op: opMessage, Seq: seq, Channel: "chat", From: "other", Data: &data{int64(seq)}}
}

// dial opens a room of the script.
func (s *script) dial(o Options) (*Room, error) {
	o.HTTPClient = s.client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // of virtual time
	defer cancel()
	r, err := Dial(ctx, "ws://server/genosrtc", "a/b", o)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return r, nil
}
