package genosrtc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/turn"
)

// TURN is the embedded STUN and TURN server, for peers that cannot reach each other.
// It shares the UDP port with WebRTC, and listens for TCP at the same addresses. The
// zero TURN: there is none.
type TURN struct {
	// Secret is what the credentials are made with that admitted clients get: at
	// least 16 bytes. Several servers may have the same.
	Secret string
	// Ports are those of relay addresses, by UDP. Default 49152 to 65535.
	Ports PortRange
	// Limits bound what clients can hold.
	Limits TURNLimits
}

// PortRange is a range of ports, both ends in it.
type PortRange = turn.PortRange

// TURNLimits bound what clients of the TURN server can hold. A zero field means its
// default.
type TURNLimits = turn.Limits

const minSecret = 16

func (t TURN) validate() error {
	switch {
	case t.Secret != "" && len(t.Secret) < minSecret:
		return fmt.Errorf("the TURN secret is too short: it has to have at least %d bytes", minSecret)
	case t.Secret == "" && t != TURN{}:
		return errors.New("TURN has no secret")
	case t.Ports != (PortRange{}) && (t.Ports.First == 0 || t.Ports.First > t.Ports.Last):
		return fmt.Errorf("TURN ports %d-%d are no range", t.Ports.First, t.Ports.Last)
	case min(t.Limits.Allocations, t.Limits.PerUser, t.Limits.PerAddress) < 0 || t.Limits.Lifetime < 0:
		return errors.New("a limit of TURN is negative")
	}
	return nil
}

// startTURN starts the TURN server, where one is configured.
func (s *Server) startTURN(cfg Config) (err error) {
	if cfg.TURN.Secret == "" {
		return nil
	}
	t := turn.Config{
		PublicIPs: parseIPs(cfg.PublicIPs), Secret: cfg.TURN.Secret, Ports: cfg.TURN.Ports, Limits: cfg.TURN.Limits,
		Logger: s.log.With("part", "turn"),
	}
	defer func() {
		if err != nil {
			for _, l := range t.TCP {
				l.Close()
			}
		}
	}()
	for _, c := range s.transport.ServerConns() {
		t.UDP = append(t.UDP, c)
		at := c.LocalAddr().(*net.UDPAddr)
		l, err := net.Listen("tcp", at.String())
		switch {
		case err == nil:
			t.TCP = append(t.TCP, l)
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("listen for TURN on tcp %s: %w", at, err)
		default:
			// An address may be going.
			s.log.Warn("address left out for TURN by TCP", "ip", at.IP, "error", err)
		}
		own := at.AddrPort()
		own = netip.AddrPortFrom(own.Addr().Unmap(), own.Port())
		t.Links = append(t.Links, own)
		if !own.Addr().IsLoopback() {
			for _, ip := range t.PublicIPs {
				if ip.Is4() == own.Addr().Is4() {
					t.Links = append(t.Links, netip.AddrPortFrom(ip, own.Port()))
				}
			}
		}
	}
	if s.turn, err = turn.New(t); err != nil {
		return err
	}
	s.iceURLs(t.Links)
	return nil
}

// iceURLs notes where clients find the server: at one IPv4 and one IPv6 address,
// public ones where there are any, or else those of a local network or this machine.
func (s *Server) iceURLs(at []netip.AddrPort) {
	rank := func(a netip.AddrPort) int {
		switch ip := a.Addr(); {
		case ip.IsLoopback():
			return 0
		case !turn.Public(ip):
			return 1
		}
		return 2
	}
	best := make(map[bool]netip.AddrPort) // by whether it is IPv4
	for _, a := range at {
		if b, ok := best[a.Addr().Is4()]; !ok || rank(a) > rank(b) {
			best[a.Addr().Is4()] = a
		}
	}
	for _, v4 := range []bool{true, false} {
		a, ok := best[v4]
		if other, both := best[!v4]; !ok || both && rank(a) < rank(other) {
			continue
		}
		s.stunURLs = append(s.stunURLs, "stun:"+a.String())
		s.turnURLs = append(s.turnURLs, "turn:"+a.String()+"?transport=udp", "turn:"+a.String()+"?transport=tcp")
	}
}

// iceServers implements handler.ICEServers.
func (s *Server) iceServers(user string, until time.Time) []handler.ICEServer {
	c := s.turn.Credential(user, until)
	return []handler.ICEServer{
		{URLs: s.stunURLs},
		{URLs: s.turnURLs, Username: c.Username, Credential: c.Password, Lifetime: c.Lifetime},
	}
}

// parseIPs parses addresses that were validated.
func parseIPs(texts []string) []netip.Addr {
	var ips []netip.Addr
	for _, text := range texts {
		ips = append(ips, netip.MustParseAddr(text).Unmap())
	}
	return ips
}
