package turn

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// introduction is how long a TCP client has to get an allocation. After that it
	// may be silent for as long as the allocation lives.
	introduction = 30 * time.Second
	// frameTime is how long the rest of a frame may take once its head is there.
	frameTime = 10 * time.Second
	// writeTime is how long it may take to read what it is sent.
	writeTime = 10 * time.Second
	// acceptPause follows an error of the system, as when there are too many open files.
	acceptPause = 100 * time.Millisecond
)

// listener is a net.Listener for clients by TCP, as many as may have allocations.
type listener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener. It fails only when the listener is closed: pion
// accepts no more after an error.
func (l listener) Accept() (net.Conn, error) {
	s := l.server
	for {
		conn, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			s.listening.Done()
			return nil, err
		case err != nil:
			s.log.Warn("TURN cannot accept a TCP connection", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		address := network(conn.RemoteAddr())
		// They count as allocations of nobody do: each can have one at most.
		if why := s.connections.take("\n"+address, s.options.Load().limits.ofConnections()); why != "" {
			s.refused.Add("connections")
			conn.Close()
			continue
		}
		c := &client{Conn: conn, in: bufio.NewReaderSize(conn, 2048), server: s, owner: "\n" + address, until: time.Now().Add(introduction)}
		if !s.clients.add(c) {
			s.connections.give(c.owner)
			conn.Close()
			return nil, net.ErrClosed
		}
		s.byAddress.Store(clientKey(conn.RemoteAddr(), conn.LocalAddr()), c)
		return c, nil
	}
}

// client is a TCP connection. The server ends it by closing Conn; Close is pion's, at
// the end of the goroutine that reads it.
type client struct {
	net.Conn
	in        *bufio.Reader
	server    *Server
	owner     string
	until     time.Time // that it may be without an allocation
	allocated atomic.Bool
	closed    sync.Once
}

// errFrame ends a connection: after bytes that are no frame nothing can be found.
var errFrame = errors.New("neither STUN nor ChannelData")

const (
	frameHead   = 8 // with the cookie of STUN
	stunHeader  = 20
	magicCookie = 0x2112A442
)

// frameSize is that of the frame of which these are the first frameHead bytes: a
// STUN message (RFC 8489, section 5), or ChannelData with its padding (RFC 8656,
// section 12.5). ChannelData that has the cookie is no frame here: pion would take it
// for STUN, of another size.
func frameSize(head []byte) (int, error) {
	length, cookie := int(binary.BigEndian.Uint16(head[2:])), binary.BigEndian.Uint32(head[4:]) == magicCookie
	switch first := head[0]; {
	case first <= 3 && cookie:
		return stunHeader + length, nil
	case first >= 0x40 && first <= 0x7F && !cookie: // as in RFC 5766, section 11
		return 4 + (length+3)&^3, nil
	}
	return 0, errFrame
}

// Read implements net.Conn. It reads one whole frame, which has to be shorter than b:
// pion, which takes them apart again, would turn for ever on some sizes, and go a call
// deeper with each part of a frame.
func (c *client) Read(b []byte) (int, error) {
	until := c.until
	if c.allocated.Load() {
		until = time.Time{}
	}
	if err := c.Conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	head, err := c.in.Peek(frameHead)
	if err != nil {
		return 0, err
	}
	size, err := frameSize(head)
	if err != nil || size >= len(b) {
		c.server.refused.Add("frame")
		return 0, errFrame
	}
	if rest := time.Now().Add(frameTime); until.IsZero() || rest.Before(until) {
		if err := c.Conn.SetReadDeadline(rest); err != nil {
			return 0, err
		}
	}
	return io.ReadFull(c.in, b[:size])
}

// Write implements net.Conn. After a part of a message nothing can follow.
func (c *client) Write(b []byte) (int, error) {
	err := c.Conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		c.Conn.Close()
	}
	return n, err
}

// Close implements net.Conn.
func (c *client) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() {
		c.server.byAddress.CompareAndDelete(clientKey(c.RemoteAddr(), c.LocalAddr()), c)
		c.server.connections.give(c.owner)
		c.server.clients.remove(c)
		c.server.clients.end()
	})
	return err
}
