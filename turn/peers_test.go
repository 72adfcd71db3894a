package turn

import (
	"net"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestPublicAddresses(t *testing.T) {
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "203.0.113.7": true, "192.0.2.1": true, "198.51.100.1": true, "2606:4700::1": true, "2001:db8::1": true,
		"::ffff:8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.8": false, "192.168.0.1": false,
		"198.18.0.1": false, "198.19.255.255": false, "224.0.0.251": false, "239.1.2.3": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::8.8.8.8": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false,
		"100::1:0:0:1": false, "1fff::1": false, "2000::1": true, "3fff:ffff::1": true, "4000::1": false, "5f00::1": false, "e000::1": false,
		"fec0::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false, "2002:a00:1::": false, "2001::1": false, "100::1": false,
		"::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:100.64.0.1": false, "::ffff:0.0.0.0": false,
	} {
		if got := Public(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// What may be reached at no port has no IP address that may be, however it is written.
func TestPortsAreNotOpenWhereTheAddressIsNot(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	own, mapped := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("203.0.113.7")
	s := &Server{config: Config{
		UDP: []net.PacketConn{socket}, PublicIPs: []netip.Addr{mapped},
		Links: []netip.AddrPort{netip.AddrPortFrom(own, 3478), netip.AddrPortFrom(mapped, 3478), netip.MustParseAddrPort("127.0.0.1:3478")},
	}}
	s.machine.list = func() ([]netip.Addr, error) {
		return []netip.Addr{own, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.9")}, nil
	}
	s.machine.read()
	s.open.Store(netip.AddrPortFrom(own, 50000), nil)
	p := newPeers(s, own, mapped)
	rapid.Check(t, func(t *rapid.T) {
		ip := rapid.OneOf(
			rapid.SampledFrom([]netip.Addr{own, mapped, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.9")}),
			rapid.Custom(func(t *rapid.T) netip.Addr {
				var b [4]byte
				copy(b[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes"))
				return netip.AddrFrom4(b)
			})).Draw(t, "ip")
		port := rapid.SampledFrom([]uint16{1, 53, 3478, 50000, 50100, 50101, 65535}).Draw(t, "port")
		mapped6 := netip.AddrFrom16(ip.As16())
		if p.mayReachIP(ip) != p.mayReachIP(mapped6) || p.mayReach(netip.AddrPortFrom(ip, port)) != p.mayReach(netip.AddrPortFrom(mapped6, port)) {
			t.Fatalf("%v depends on how it is written", ip)
		}
		reach := p.mayReach(netip.AddrPortFrom(ip, port))
		if reach && !p.mayReachIP(ip) {
			t.Fatalf("%v:%d may be reached, %v not", ip, port, ip)
		}
		var want bool
		switch ip.String() {
		case "10.0.0.5":
			want = port == 3478
		case "203.0.113.7":
			want = port == 3478 || port == 50000
		case "127.0.0.1", "192.0.2.9":
			want = false
		default:
			want = Public(ip)
		}
		if reach != want {
			t.Fatalf("%v:%d: %v", ip, port, reach)
		}
	})
}
