package turn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/turn/v5"
)

var (
	errRefused    = errors.New("refused")
	errNotOffered = errors.New("relays are for UDP, and one at a time")
)

// relayTries is how many ports are tried for an allocation.
const relayTries = 16

// relays makes the relay addresses of clients that come to one address of ours: at
// that address, told as the public one. It implements turn.RelayAddressGenerator.
type relays struct {
	server *Server
	at     net.Addr // of ours, to which the clients come
	local  netip.Addr
	public netip.Addr // the local one, unless that is mapped
	peers  *peers
}

// Validate implements turn.RelayAddressGenerator.
func (*relays) Validate() error { return nil }

// AllocatePacketConn implements turn.RelayAddressGenerator.
func (r *relays) AllocatePacketConn(want turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	s := r.server
	// A probe for an even port (RFC 8656, section 14.6), which no client of ours needs,
	// or for one that was reserved by it.
	if want.UserID == "" || want.RequestedPort != 0 {
		s.refused.Add("transport")
		return nil, nil, errNotOffered
	}
	if r.local.Is4() != (want.Network == "udp4") {
		s.refused.Add("family")
		return nil, nil, fmt.Errorf("relay at %s by %s: %w", r.local, want.Network, errors.ErrUnsupported)
	}
	if why := s.quota.take(want.UserID, s.options.Load().limits); why != "" {
		s.refused.Add(why)
		return nil, nil, fmt.Errorf("allocate a relay address: too many of this %s: %w", why, errRefused)
	}
	conn, err := r.listen()
	if err != nil {
		s.quota.give(want.UserID)
		s.refused.Add("ports")
		return nil, nil, err
	}
	c := &relayConn{UDPConn: conn, relays: r, owner: want.UserID}
	s.open.Store(c.at(), nil)
	if !s.relaying.add(c) {
		c.Close()
		return nil, nil, net.ErrClosed
	}
	s.created.Add(1)
	return c, net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.public, c.at().Port())), nil
}

func (r *relays) listen() (conn *net.UDPConn, err error) {
	ports := r.server.config.Ports
	for range relayTries {
		port := ports.First + uint16(rand.UintN(uint(ports.Last-ports.First)+1))
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.local, port)))
		if err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("find a free relay port at %s: %w", r.local, err)
}

// AllocateListener implements turn.RelayAddressGenerator. Relays for TCP (RFC 6062)
// are not offered: WebRTC has no use for them.
func (r *relays) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	r.server.refused.Add("transport")
	return nil, nil, errNotOffered
}

// AllocateConn implements turn.RelayAddressGenerator.
func (r *relays) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	r.server.refused.Add("transport")
	return nil, errNotOffered
}

// permit implements turn.PermissionHandler, for IP addresses. Ports are judged with
// each packet.
func (r *relays) permit(client net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	switch {
	case !ok || !r.peers.mayReachIP(ip):
		r.server.refused.Add("peer")
		return false
	case !r.server.permissions.take(clientKey(client, r.at), peer):
		r.server.refused.Add("permissions")
		return false
	}
	return true
}

// relayConn is a relay address.
type relayConn struct {
	*net.UDPConn
	relays *relays
	owner  string
	closed sync.Once
	ended  sync.Once
}

// at is where it is on this machine.
func (c *relayConn) at() netip.AddrPort {
	return netip.AddrPortFrom(c.relays.local, addrPort(c.LocalAddr()).Port())
}

// WriteTo implements net.PacketConn. What is refused is lost, as packets may be.
func (c *relayConn) WriteTo(b []byte, to net.Addr) (int, error) {
	s, a := c.relays.server, addrPort(to)
	if !c.relays.peers.mayReach(a) {
		s.refused.Add("port")
		return len(b), nil
	}
	// Not every network brings what a machine sends to the address that is mapped to
	// it back to the machine.
	if a.Addr() == c.relays.public {
		a = netip.AddrPortFrom(c.relays.local, a.Port())
	}
	n, err := c.UDPConn.WriteToUDPAddrPort(b, a)
	if err == nil {
		s.sent.Add(uint64(n))
	}
	return n, err
}

// ReadFrom implements net.PacketConn.
func (c *relayConn) ReadFrom(b []byte) (int, net.Addr, error) {
	s := c.relays.server
	for {
		n, from, err := c.UDPConn.ReadFromUDPAddrPort(b)
		if err != nil {
			c.ended.Do(func() { s.relaying.end() })
			return n, nil, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Addr() == c.relays.local {
			from = netip.AddrPortFrom(c.relays.public, from.Port())
		}
		if !c.relays.peers.mayReach(from) {
			s.refused.Add("port")
			continue
		}
		s.received.Add(uint64(n))
		return n, net.UDPAddrFromAddrPort(from), nil
	}
}

// Close implements net.PacketConn.
func (c *relayConn) Close() error {
	c.closed.Do(func() {
		c.relays.server.open.Delete(c.at()) // before the port can be another's
		c.UDPConn.Close()
		c.relays.server.quota.give(c.owner)
		c.relays.server.relaying.remove(c)
	})
	return nil
}
