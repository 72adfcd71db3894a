package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// clients are all sessions.
type clients struct {
	conns    []net.Conn
	readers  sync.WaitGroup
	messages atomic.Int64 // that came
	heardAt  atomic.Int64 // Unix nanoseconds; when the last one came
	pongs    atomic.Int64 // of the protocol, not of WebSocket
	dropped  atomic.Int64
	trouble  atomic.Pointer[error] // the first one
	closing  atomic.Bool
}

const (
	// perAddress is within the server's limit.
	perAddress = 250
	// atOnce is how many clients connect at the same time.
	atOnce = 32
)

func url(address string, room int) string {
	return "ws://" + address + "/genosrtc/rooms/" + roomName(room) + "/ws"
}

// join opens all sessions, and returns when each has its welcome.
func join(ctx context.Context, address string, sessions, rooms int) (*clients, error) {
	c := &clients{conns: make([]net.Conn, sessions)}
	errs := make([]error, sessions)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < sessions && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				errs[i] = c.open(ctx, i, url(address, i%rooms))
			}
		})
	}
	workers.Wait()
	if err := errors.Join(ctx.Err(), errors.Join(errs...)); err != nil {
		c.leave()
		return nil, err
	}
	return c, nil
}

// open opens one.
func (c *clients) open(ctx context.Context, i int, url string) error {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/perAddress/250), byte(1+i/perAddress%250))}
	dialer := net.Dialer{LocalAddr: from}
	conn, _, _, err := ws.Dialer{
		NetDial:   dialer.DialContext,
		Protocols: []string{session.MessagePack.Subprotocol()},
	}.Dial(ctx, url)
	if err != nil {
		return fmt.Errorf("session %d, from %s: %w", i+1, from.IP, err)
	}
	c.conns[i] = conn
	if _, err := conn.Write(said(&session.Message{Op: session.OpHello})); err != nil {
		return fmt.Errorf("session %d: saying hello: %w", i+1, err)
	}
	welcome := make(chan error, 1)
	c.readers.Go(func() { c.read(conn, welcome) })
	if err := <-welcome; err != nil {
		return fmt.Errorf("session %d: %w", i+1, err)
	}
	return nil
}

// read reads until the connection ends. What the welcome is, or why there is
// none, is told once.
func (c *clients) read(conn net.Conn, welcome chan<- error) {
	r := bufio.NewReaderSize(conn, 2<<10)
	for first := true; ; first = false {
		payload, err := c.next(conn, r)
		switch {
		case err != nil:
			if first {
				welcome <- err
			} else if !c.closing.Load() {
				c.dropped.Add(1)
				c.trouble.CompareAndSwap(nil, &err)
			}
			return
		case first && !bytes.Contains(payload, []byte(session.OpWelcome)):
			welcome <- fmt.Errorf("no welcome, but %.200q", payload)
			return
		case first:
			welcome <- nil
		case bytes.Contains(payload, []byte(session.OpPong)):
			c.pongs.Add(1)
		}
		c.messages.Add(1)
		c.heardAt.Store(time.Now().UnixNano())
	}
}

// next returns the beginning of the next message. It answers pings.
func (c *clients) next(conn net.Conn, r *bufio.Reader) ([]byte, error) {
	for {
		h, err := ws.ReadHeader(r)
		if err != nil {
			return nil, err
		}
		begin, err := r.Peek(int(min(h.Length, 64)))
		if err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpPing:
			if _, err := conn.Write(frame(ws.OpPong, begin)); err != nil {
				return nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(begin)
			return nil, fmt.Errorf("closed by the server: %d %s", code, reason)
		}
		begin = bytes.Clone(begin)
		if _, err := io.CopyN(io.Discard, r, h.Length); err != nil {
			return nil, err
		}
		if h.OpCode.IsData() {
			return begin, nil
		}
	}
}

// quiet waits until nothing has come for two seconds, and returns when the last
// message came.
func (c *clients) quiet(ctx context.Context) (time.Time, error) {
	for {
		at := time.Unix(0, c.heardAt.Load())
		if time.Since(at) > 2*time.Second {
			return at, c.ended()
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return at, err
		}
	}
}

// pongWithin is how long a session's pong may take.
const pongWithin = 30 * time.Second

// check has each session show that it works.
func (c *clients) check(ctx context.Context) error {
	ping := said(&session.Message{Op: session.OpPing, ID: 1})
	for _, conn := range c.conns {
		if _, err := conn.Write(ping); err != nil {
			return errors.Join(c.ended(), fmt.Errorf("a ping: %w", err))
		}
	}
	for late := time.Now().Add(pongWithin); c.pongs.Load() < int64(len(c.conns)); {
		if time.Now().After(late) {
			return fmt.Errorf("%d of %d sessions do not answer", int64(len(c.conns))-c.pongs.Load(), len(c.conns))
		}
		if err := errors.Join(c.ended(), sleep(ctx, 10*time.Millisecond)); err != nil {
			return err
		}
	}
	return c.ended()
}

// ended tells of sessions that were dropped.
func (c *clients) ended() error {
	if trouble := c.trouble.Load(); trouble != nil {
		return fmt.Errorf("%d sessions were dropped; the first: %w", c.dropped.Load(), *trouble)
	}
	return nil
}

func (c *clients) leave() {
	c.closing.Store(true)
	for _, conn := range c.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	c.readers.Wait()
}

// said is a message of a client.
func said(m *session.Message) []byte { return frame(ws.OpBinary, session.MessagePack.Encode(m)) }

// frame makes a frame of a client. Its masking key is zero.
func frame(op ws.OpCode, payload []byte) []byte {
	// The only error is a length of more than 63 bits.
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, true, payload), [4]byte{}))
}
