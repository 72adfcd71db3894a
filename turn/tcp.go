package turn

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// introduction is how long a TCP client has to get an allocation. After that it
	// may be silent for as long as the allocation lives.
	introduction = 30 * time.Second
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
			s.refused.count("connections")
			conn.Close()
			continue
		}
		c := &client{Conn: conn, server: s, owner: "\n" + address, until: time.Now().Add(introduction)}
		if !s.clients.add(c) {
			s.connections.give(c.owner)
			conn.Close()
			return nil, net.ErrClosed
		}
		s.byAddress.Store(conn.RemoteAddr().String(), c)
		return c, nil
	}
}

// client is a TCP connection. The server ends it by closing Conn; Close is pion's, at
// the end of the goroutine that reads it.
type client struct {
	net.Conn
	server    *Server
	owner     string
	until     time.Time // that it may be without an allocation
	allocated atomic.Bool
	closed    sync.Once
}

// Read implements net.Conn.
func (c *client) Read(b []byte) (int, error) {
	until := c.until
	if c.allocated.Load() {
		until = time.Time{}
	}
	if err := c.Conn.SetReadDeadline(until); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
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
		c.server.byAddress.CompareAndDelete(c.RemoteAddr().String(), c)
		c.server.connections.give(c.owner)
		c.server.clients.remove(c)
		c.server.clients.end()
	})
	return err
}
