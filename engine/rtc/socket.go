package rtc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// socket is one of those that answering links share. A STUN and TURN server can
// have a part in it.
type socket struct {
	net.PacketConn
	server atomic.Pointer[ServerConn] // nil: all packets are for links
}

// ReadFrom implements net.PacketConn: packets for links.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, addr, err := s.PacketConn.ReadFrom(b)
		if err == nil && forServer(b[:n]) {
			if server := s.server.Load(); server != nil {
				server.take(b[:n], addr)
				continue
			}
		}
		return n, addr, err
	}
}

const (
	stunHeader    = 20
	stunCookie    = 0x2112A442
	stunBinding   = 0x001
	stunRequest   = 0x0001
	stunMethod    = 0x3EEF // the bits of a message type that are not its class
	attrUsername  = 0x0006
	firstChannel  = 64 // of the first byte (RFC 7983, section 7)
	lastChannel   = 79
	lastSTUN      = 3
	serverPackets = 512
)

// forServer tells whether a packet is for a STUN or TURN server rather than for a
// link. It needs nothing but the packet: ChannelData and STUN have first bytes of
// their own (RFC 7983), TURN has methods of its own (RFC 8656), and a Binding
// request is a check of ICE if it names a user, as these have to (RFC 8445, section
// 7.1), and for the STUN server if it does not.
func forServer(b []byte) bool {
	switch {
	case len(b) < 4:
		return false
	case b[0] >= firstChannel && b[0] <= lastChannel:
		return true
	case b[0] > lastSTUN || len(b) < stunHeader || binary.BigEndian.Uint32(b[4:]) != stunCookie:
		return false
	}
	kind := binary.BigEndian.Uint16(b)
	if kind&stunMethod != stunBinding {
		return true
	}
	end := min(len(b), stunHeader+int(binary.BigEndian.Uint16(b[2:])))
	return kind == stunRequest && !namesUser(b[stunHeader:end])
}

// namesUser looks for the attribute USERNAME (RFC 8489, section 14).
func namesUser(attributes []byte) bool {
	for len(attributes) >= 4 {
		if binary.BigEndian.Uint16(attributes) == attrUsername {
			return true
		}
		size := 4 + (int(binary.BigEndian.Uint16(attributes[2:]))+3)&^3
		if size > len(attributes) {
			return false
		}
		attributes = attributes[size:]
	}
	return false
}

// ServerConn is the part of a shared socket that a STUN and TURN server has. It
// implements net.PacketConn, without deadlines. Closing it leaves the socket to
// the links.
type ServerConn struct {
	socket  *socket
	packets chan packet
	done    chan struct{}
	close   sync.Once
	dropped atomic.Uint64
}

type packet struct {
	data []byte
	from net.Addr
}

// ServerConns takes the part of a STUN and TURN server in each of the sockets that
// answering links share. Who had it before has it no longer. Closing the transport
// closes them.
func (t *Transport) ServerConns() []*ServerConn {
	conns := make([]*ServerConn, len(t.sockets))
	for i, s := range t.sockets {
		conns[i] = &ServerConn{socket: s, packets: make(chan packet, serverPackets), done: make(chan struct{})}
		if old := s.server.Swap(conns[i]); old != nil {
			old.Close()
		}
	}
	return conns
}

// take passes a packet on, unless too many wait already: then it is lost, as
// packets may be.
func (c *ServerConn) take(b []byte, from net.Addr) {
	if len(c.packets) == cap(c.packets) {
		c.dropped.Add(1)
		return
	}
	// Nobody else sends.
	c.packets <- packet{bytes.Clone(b), from}
}

// Dropped is how many packets were lost because the server did not keep up.
func (c *ServerConn) Dropped() uint64 { return c.dropped.Load() }

// ReadFrom implements net.PacketConn: packets for the server.
func (c *ServerConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-c.done:
		return 0, nil, net.ErrClosed
	case p := <-c.packets:
		return copy(b, p.data), p.from, nil
	}
}

// WriteTo implements net.PacketConn.
func (c *ServerConn) WriteTo(b []byte, to net.Addr) (int, error) { return c.socket.WriteTo(b, to) }

// LocalAddr implements net.PacketConn.
func (c *ServerConn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// Close implements net.PacketConn.
func (c *ServerConn) Close() error {
	c.close.Do(func() {
		c.socket.server.CompareAndSwap(c, nil)
		close(c.done)
	})
	return nil
}

// SetDeadline implements net.PacketConn. It is not supported.
func (*ServerConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.PacketConn. It is not supported.
func (*ServerConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.PacketConn. It is not supported.
func (*ServerConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
