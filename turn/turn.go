// Package turn is a STUN and TURN server (RFC 8489, RFC 8656) for those who were
// admitted: credentials are short-lived, quotas bound what they can hold, and what is
// not on the public internet cannot be reached through it. It is pion's, with that
// around it, and knows no HTTP.
package turn

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/turn/v5"

	"github.com/genosrtc/caddy-genosrtc/internal/pionlog"
	"github.com/genosrtc/caddy-genosrtc/internal/tally"
)

// Realm is the server's (RFC 8489, section 9.2).
const Realm = "genosrtc"

// Config is what a Server is made of.
type Config struct {
	// UDP are the sockets to which clients come, each at one address, at which their
	// relay addresses are too. The server closes them.
	UDP []net.PacketConn
	// TCP are the listeners for clients that have no UDP, at addresses of UDP. The
	// server closes them.
	TCP []net.Listener
	// PublicIPs are addresses that are mapped to the machine's own. The first of a
	// family is told as the relay address.
	PublicIPs []netip.Addr
	// Links are the addresses at which the server's own peers answer: the only ones on
	// this machine, beside relay addresses, that clients can reach.
	Links []netip.AddrPort
	// Ports are those of relay addresses. Default DefaultPorts.
	Ports PortRange
	// Secret is what credentials are made with.
	Secret string
	Limits Limits
	Logger *slog.Logger // nil: slog.Default()
}

// PortRange is a range of ports, both ends in it.
type PortRange struct{ First, Last uint16 }

// DefaultPorts are the dynamic ports (RFC 6335, section 6; RFC 8656, section 7.2).
var DefaultPorts = PortRange{49152, 65535}

// String implements fmt.Stringer.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Limits bound what clients can hold. A zero field means its default.
type Limits struct {
	// Allocations are relay addresses that there may be at once: in all, of one user,
	// and of clients at one IPv4 address or in one IPv6 network of 64 bits. A browser
	// takes one for each connection that it tries and each transport of the server.
	// TCP connections, with an allocation or without, have the first and the last limit too.
	// Default 4,000, 200 and 400.
	Allocations, PerUser, PerAddress int
	// Lifetime is how long a credential can be used for new allocations. Default 12 h.
	Lifetime time.Duration
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Allocations, 4000)
	set(&l.PerUser, 200)
	set(&l.PerAddress, 400)
	if l.Lifetime <= 0 {
		l.Lifetime = 12 * time.Hour
	}
	return l
}

// ofConnections are those of TCP connections, which have no user.
func (l Limits) ofConnections() Limits {
	l.PerUser = l.Allocations
	return l
}

type options struct {
	secret string
	limits Limits
}

// Server is a running server. Its methods may be called from several goroutines.
type Server struct {
	config  Config
	log     *slog.Logger
	options atomic.Pointer[options]
	pion    *turn.Server
	close   func() error

	quota       quota // of allocations
	connections quota // by TCP, of a user without a name
	permissions permissions
	machine     machine
	open        sync.Map // of netip.AddrPort: the relay addresses, as they are here
	relaying    running[*relayConn]
	clients     running[*client]
	byAddress   sync.Map // of *client, by clientKey
	listening   sync.WaitGroup
	reading     sync.WaitGroup

	refused                 tally.Tally[string] // reasons are constants of this package
	created, sent, received atomic.Uint64
	failed                  atomic.Uint64
}

// New starts a server. On an error the caller closes the sockets and listeners.
func New(cfg Config) (*Server, error) {
	if cfg.Secret == "" {
		return nil, errors.New("start TURN: no secret")
	}
	if cfg.Ports == (PortRange{}) {
		cfg.Ports = DefaultPorts
	}
	if cfg.Ports.First == 0 || cfg.Ports.First > cfg.Ports.Last {
		return nil, fmt.Errorf("start TURN: %d-%d is no range of ports", cfg.Ports.First, cfg.Ports.Last)
	}
	s := &Server{config: cfg, log: cfg.Logger}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.Configure(cfg.Secret, cfg.Limits)
	s.machine.list, s.machine.log = machineIPs, s.log
	err := s.machine.read()
	if err != nil {
		return nil, fmt.Errorf("start TURN: %w", err)
	}
	pion := turn.ServerConfig{
		Realm: Realm, AuthHandler: s.authenticate, QuotaHandler: s.mayAllocate, EventHandler: s.events(),
		LoggerFactory: pionlog.Factory{Log: s.log},
	}
	for _, c := range cfg.UDP {
		r := s.relaysAt(c.LocalAddr())
		conn := &reader{PacketConn: c, server: s}
		pion.PacketConnConfigs = append(pion.PacketConnConfigs, turn.PacketConnConfig{
			PacketConn: conn, RelayAddressGenerator: r, PermissionHandler: r.permit,
		})
	}
	for _, l := range cfg.TCP {
		r := s.relaysAt(l.Addr())
		own := listener{l, s}
		pion.ListenerConfigs = append(pion.ListenerConfigs, turn.ListenerConfig{
			Listener: own, RelayAddressGenerator: r, PermissionHandler: r.permit,
		})
	}
	s.reading.Add(len(cfg.UDP))
	s.listening.Add(len(cfg.TCP))
	if s.pion, err = turn.NewServer(pion); err != nil {
		return nil, fmt.Errorf("start TURN: %w", err)
	}
	s.close = sync.OnceValue(func() error {
		err := s.pion.Close()
		s.listening.Wait()
		s.reading.Wait()
		s.clients.close(func(c *client) { c.Conn.Close() })
		s.relaying.close(func(c *relayConn) { c.Close() })
		return err
	})
	return s, nil
}

// Configure replaces the secret, and the limits for new allocations. Credentials
// that were made with another secret are good no longer: allocations of theirs end
// when they should be refreshed, within ten minutes.
func (s *Server) Configure(secret string, limits Limits) {
	s.options.Store(&options{secret, limits.withDefaults()})
}

// relaysAt makes relay addresses for clients that come to an address.
func (s *Server) relaysAt(at net.Addr) *relays {
	local := addrPort(at).Addr()
	r := &relays{server: s, at: at, local: local, public: local}
	if !local.IsLoopback() {
		for _, ip := range s.config.PublicIPs {
			if ip.Is4() == local.Is4() {
				r.public = ip
				break
			}
		}
	}
	r.peers = newPeers(s, local, r.public)
	return r
}

// mayAllocate implements turn.QuotaHandler. It only looks: what counts is what is
// taken.
func (s *Server) mayAllocate(owner, _ string, _ net.Addr) bool {
	why := s.quota.full(owner, s.options.Load().limits)
	if why != "" {
		s.refused.Add(why)
	}
	return why == ""
}

// events keeps the books.
func (s *Server) events() turn.EventHandler {
	return turn.EventHandler{
		OnAuth: func(_, _ net.Addr, _, _, _, _ string, good bool) {
			if !good {
				s.refused.Add("credentials")
			}
		},
		OnAllocationCreated: func(src, dst net.Addr, _, _, _ string, _ net.Addr, _ int) {
			if c := s.client(src, dst); c != nil {
				c.allocated.Store(true)
			}
		},
		OnAllocationDeleted: func(src, dst net.Addr, _, _, _ string) {
			s.permissions.change(clientKey(src, dst), func(g *granted) { *g = granted{peers: make(map[string]bool)} })
			if c := s.client(src, dst); c != nil {
				c.Conn.Close()
			}
		},
		OnAllocationError: func(_, _ net.Addr, _, _ string) { s.failed.Add(1) },
		OnPermissionDeleted: func(src, dst net.Addr, _, _, _ string, _ net.Addr, peer net.IP) {
			s.permissions.change(clientKey(src, dst), func(g *granted) { delete(g.peers, peer.String()) })
		},
		OnChannelCreated: func(src, dst net.Addr, _, _, _ string, _, _ net.Addr, _ uint16) {
			s.permissions.change(clientKey(src, dst), func(g *granted) { g.channels++ })
		},
		OnChannelDeleted: func(src, dst net.Addr, _, _, _ string, _, _ net.Addr, _ uint16) {
			s.permissions.change(clientKey(src, dst), func(g *granted) { g.channels = max(0, g.channels-1) })
		},
	}
}

// client is that of a TCP connection, or nil.
func (s *Server) client(src, dst net.Addr) *client {
	c, _ := s.byAddress.Load(clientKey(src, dst))
	found, _ := c.(*client)
	return found
}

// Close ends all allocations, closes the sockets and listeners, and waits. It is
// idempotent.
func (s *Server) Close() error {
	return s.close()
}

// Stats are what there is now, and totals since the server began.
type Stats struct {
	Allocations int
	Connections int    // by TCP
	Created     uint64 // allocations
	// Refused counts what was refused: credentials and expired ones; allocations over the
	// limits allocations, user and address, or without a free port (ports), of another
	// family or transport; connections by TCP over a limit (connections), or that sent what is
	// no frame (frame); permissions for a peer that may not be reached, and too many
	// permissions; packets to or from such a port.
	Refused map[string]uint64
	// Failed counts the requests that were answered with an error, those among them.
	Failed uint64
	// Dropped counts packets of clients that came faster than they are served, as far as the
	// sockets tell, by a method Dropped.
	Dropped uint64
	// Sent and Received are bytes that were relayed to and from peers.
	Sent, Received uint64
}

// Stats returns the server's totals.
func (s *Server) Stats() Stats {
	dropped := uint64(0)
	for _, c := range s.config.UDP {
		if c, ok := c.(interface{ Dropped() uint64 }); ok {
			dropped += c.Dropped()
		}
	}
	return Stats{
		Allocations: s.quota.taken(), Connections: s.connections.taken(), Created: s.created.Load(),
		Refused: s.refused.Counts(), Failed: s.failed.Load(), Dropped: dropped, Sent: s.sent.Load(), Received: s.received.Load(),
	}
}

// reader is one of the sockets. Its end is that of the goroutine that reads it.
type reader struct {
	net.PacketConn
	server *Server
	ended  sync.Once
}

// ReadFrom implements net.PacketConn.
func (r *reader) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := r.PacketConn.ReadFrom(b)
	if err != nil {
		r.ended.Do(r.server.reading.Done)
	}
	return n, from, err
}
