package turn

import (
	"net/netip"
	"slices"
)

// closed are the ranges beside those that netip knows by name to which nothing is
// relayed: what is not the public internet (IANA's special-purpose registries,
// RFC 6890), and IPv6 addresses that stand for any IPv4 address.
// Those of documentation are not among them: nobody has them.
var closed = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // this network
	netip.MustParsePrefix("100.64.0.0/10"), // CGNAT
	netip.MustParsePrefix("192.0.0.0/24"),  // IETF protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, broadcast
	netip.MustParsePrefix("::/96"),         // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),  // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),  // discard
	netip.MustParsePrefix("2001::/32"), // Teredo
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("fec0::/10"), // site-local
}

// Public tells whether an address may be anybody's on the internet. One that is
// mapped to IPv6 is judged as what it stands for.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() { // nor loopback, link-local, multicast, unspecified
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
// machine only where we are ourselves: the port of links, and other relay addresses.
// Its other ports are closed even where it is public: what a machine sends to itself
// passes no firewall.
type peers struct {
	// own are the addresses of the machine and those that are mapped to it, with the
	// ports of links there.
	own map[netip.Addr][]uint16
	// relays are addresses of relays, with the ports in a range.
	relays map[netip.Addr]bool
	ports  PortRange
}

// newPeers makes those of a relay that is at a local address. To loopback addresses
// only a relay that is at one itself can send.
func newPeers(local netip.Addr, cfg *Config, machine []netip.Addr) *peers {
	p := &peers{own: make(map[netip.Addr][]uint16), relays: make(map[netip.Addr]bool), ports: cfg.Ports}
	for _, ip := range append(machine, cfg.PublicIPs...) {
		p.own[ip] = nil
	}
	for _, a := range cfg.Links {
		if a.Addr().IsLoopback() == local.IsLoopback() {
			p.own[a.Addr()] = append(p.own[a.Addr()], a.Port())
		}
	}
	for _, c := range cfg.UDP {
		ip := addrPort(c.LocalAddr()).Addr()
		if ip.IsLoopback() == local.IsLoopback() {
			p.relays[ip] = true
		}
	}
	if !local.IsLoopback() {
		for _, ip := range cfg.PublicIPs {
			p.relays[ip] = true
		}
	}
	return p
}

// mayReachIP tells whether anything at an address may be reached.
func (p *peers) mayReachIP(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ports, own := p.own[ip]; own {
		return p.relays[ip] || len(ports) > 0
	}
	return p.relays[ip] || Public(ip)
}

// mayReach tells whether an address and port may be reached.
func (p *peers) mayReach(a netip.AddrPort) bool {
	ip := a.Addr().Unmap()
	ports, own := p.own[ip]
	if own || p.relays[ip] {
		return slices.Contains(ports, a.Port()) || p.relays[ip] && p.ports.contains(a.Port())
	}
	return Public(ip)
}
