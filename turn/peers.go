package turn

import (
	"net/netip"
	"slices"
)

// closed are the ranges beside those that netip knows by name to which nothing is
// relayed: what is not the public internet (IANA's special-purpose registries,
// RFC 6890), and IPv6 addresses that stand for any IPv4 address. What of IPv6 is not in
// global6 need not be here.
// Those of documentation are not among them: nobody has them.
var closed = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("100.64.0.0/10"), // CGNAT
	netip.MustParsePrefix("192.0.0.0/24"),  // IETF protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, broadcast
	netip.MustParsePrefix("2001::/32"),     // Teredo
	netip.MustParsePrefix("2002::/16"),     // 6to4
}

// global6 is all of IPv6 that IANA gives to anybody (RFC 4291, section 2.4). NAT64,
// IPv4-compatible and site-local addresses are outside.
var global6 = netip.MustParsePrefix("2000::/3")

// Public tells whether an address may be anybody's on the internet. One that is
// mapped to IPv6 is judged as what it stands for.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() { // nor loopback, link-local, multicast, unspecified
		return false
	}
	if ip.Is6() && !global6.Contains(ip) {
		return false
	}
	for _, p := range closed {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// peers are those to which one relay address relays: what is public, and of our own
// machine only where we are ourselves: the port of links, and other relay addresses
// while they are open. Its other ports are closed even where it is public: what a
// machine sends to itself passes no firewall.
type peers struct {
	server *Server
	// local and public are the address of the relay, here and as it is told.
	local, public netip.Addr
	// links are the ports of links.
	links map[netip.Addr][]uint16
	// relays are addresses at which there may be relays.
	relays map[netip.Addr]bool
}

// newPeers makes those of a relay. To loopback addresses only a relay that is at one
// itself can send.
func newPeers(s *Server, local, public netip.Addr) *peers {
	p := &peers{
		server: s, local: local, public: public,
		links: make(map[netip.Addr][]uint16), relays: map[netip.Addr]bool{public: true},
	}
	for _, a := range s.config.Links {
		if a.Addr().IsLoopback() == local.IsLoopback() {
			p.links[a.Addr()] = append(p.links[a.Addr()], a.Port())
		}
	}
	for _, c := range s.config.UDP {
		if ip := addrPort(c.LocalAddr()).Addr(); ip.IsLoopback() == local.IsLoopback() {
			p.relays[ip] = true
		}
	}
	return p
}

// mayReachIP tells whether anything at an address may be reached.
func (p *peers) mayReachIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	return p.relays[ip] || len(p.links[ip]) > 0 || !p.own(ip) && Public(ip)
}

// mayReach tells whether an address and port may be reached.
func (p *peers) mayReach(a netip.AddrPort) bool {
	ip := a.Addr().Unmap()
	switch {
	case slices.Contains(p.links[ip], a.Port()):
		return true
	case p.relays[ip]:
		if ip == p.public {
			ip = p.local
		}
		_, open := p.server.open.Load(netip.AddrPortFrom(ip, a.Port()))
		return open
	}
	return !p.own(ip) && Public(ip)
}

// own tells whether an address is the machine's, or mapped to it.
func (p *peers) own(ip netip.Addr) bool {
	return len(p.links[ip]) > 0 || slices.Contains(p.server.config.PublicIPs, ip) || p.server.machine.has(ip)
}
