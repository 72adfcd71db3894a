// Package wsload is a WebSocket client (RFC 6455) for load: many of them share
// a machine with what they measure. It reads messages where they lie in the
// buffer, and sends frames that were made beforehand.
package wsload

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
)

// bufferSize bounds the messages that can be read.
const bufferSize = 32 << 10

// Conn is a connection. Next is for one goroutine; Send is for any.
type Conn struct {
	conn net.Conn
	r    *bufio.Reader
	read int // bytes of the last message that are still in the buffer
}

// Dial connects to a ws:// URL, from a local IP address unless that is empty.
// The end of ctx ends the attempt, not the connection.
func Dial(ctx context.Context, url, from string) (*Conn, error) {
	var local net.Dialer
	if from != "" {
		local.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, early, _, err := ws.Dialer{NetDial: local.DialContext}.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	var r io.Reader = conn
	if early != nil { // what came with the handshake's answer
		b, _ := early.Peek(early.Buffered())
		r = io.MultiReader(bytes.NewReader(bytes.Clone(b)), conn)
	}
	return &Conn{conn: conn, r: bufio.NewReaderSize(r, bufferSize)}, nil
}

// ReadyWithin is how long a server may take until it can be used.
const ReadyWithin = 30 * time.Second

// WaitUntilReady waits until a server accepts a connection, which it closes
// again. ended is closed when the server has ended.
func WaitUntilReady(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, ReadyWithin)
	defer cancel()
	for {
		conn, err := Dial(ctx, url, "")
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ended:
			return fmt.Errorf("the server ended before it could be used: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready within %v: %w", ReadyWithin, err)
		}
	}
}

// Frame makes a text message that Send takes. Its masking key is zero, which is
// as good as any other when nobody between could be misled.
func Frame(text []byte) []byte {
	// The only error is a length of more than 63 bits.
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame(text), [4]byte{}))
}

// sendWithin bounds a write: a server that does not read is an error.
const sendWithin = 10 * time.Second

// Send writes frames.
func (c *Conn) Send(frames []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return err
	}
	_, err := c.conn.Write(frames)
	return err
}

// Next returns the next text message, which is valid until the next call. It
// answers pings.
func (c *Conn) Next() ([]byte, error) {
	for {
		if _, err := c.r.Discard(c.read); err != nil {
			return nil, err
		}
		c.read = 0
		h, err := ws.ReadHeader(c.r)
		if err != nil {
			return nil, err
		}
		if h.Masked || h.Length > bufferSize || !h.Fin {
			return nil, fmt.Errorf("unexpected frame: masked %t, final %t, %d bytes", h.Masked, h.Fin, h.Length)
		}
		payload, err := c.r.Peek(int(h.Length))
		if err != nil {
			return nil, err
		}
		c.read = len(payload)
		switch h.OpCode {
		case ws.OpText:
			return payload, nil
		case ws.OpPing:
			pong := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewPongFrame(payload), [4]byte{}))
			if err := c.Send(pong); err != nil {
				return nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return nil, fmt.Errorf("closed by the server: %d %s", code, reason)
		case ws.OpBinary, ws.OpContinuation:
			return nil, errors.New("unexpected binary message")
		}
	}
}

// Close ends the connection without a word; Next returns.
func (c *Conn) Close() { _ = c.conn.Close() }
