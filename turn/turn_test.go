package turn

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/turn/v5"
)

// listen opens a port by TCP and UDP: what one has free the other may not.
func listen(t *testing.T) (tcp net.Listener, udp net.PacketConn) {
	t.Helper()
	var err error
	for range 10 {
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			continue
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return tcp, udp
		}
		tcp.Close()
	}
	t.Fatal(err)
	return nil, nil
}

// start runs a server, unless cfg says otherwise at a port of 127.0.0.1, by UDP and TCP.
func start(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	if cfg.UDP == nil {
		tcp, udp := listen(t)
		cfg.UDP, cfg.TCP = []net.PacketConn{udp}, []net.Listener{tcp}
	}
	cfg.Secret, cfg.Logger = "secret", slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if stats := s.Stats(); stats.Allocations != 0 || stats.Connections != 0 {
			t.Errorf("after Close there are %+v", stats)
		}
	})
	return s, cfg.TCP[0].Addr().String()
}

// dial makes a client of pion's.
func dial(t *testing.T, network, server string, c Credential) *turn.Client {
	t.Helper()
	var conn net.PacketConn
	if network == "tcp" {
		tcp, err := net.Dial("tcp", server)
		if err != nil {
			t.Fatal(err)
		}
		conn = turn.NewSTUNConn(tcp)
	} else {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn = udp
	}
	return dialOn(t, conn, server, c)
}

// dialOn makes one of a connection.
func dialOn(t *testing.T, conn net.PacketConn, server string, c Credential) *turn.Client {
	t.Helper()
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Username: c.Username, Password: c.Password, Realm: Realm, Conn: conn,
		RTO: 5 * time.Second, // a slow machine asks nothing twice
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); conn.Close() })
	return client
}

func allocate(t *testing.T, c *turn.Client) net.PacketConn {
	t.Helper()
	relay, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	return relay
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not in time: %s", what)
}

func TestRelaying(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			s, at := start(t, Config{Ports: PortRange{40000, 49000}})
			ada, bob := dial(t, network, at, s.Credential("ada", time.Time{})), dial(t, network, at, s.Credential("bob", time.Time{}))
			if mapped, err := ada.SendBindingRequest(); err != nil || !strings.HasPrefix(mapped.String(), "127.0.0.1:") {
				t.Fatalf("STUN told %v, %v", mapped, err)
			}
			a, b := allocate(t, ada), allocate(t, bob)
			if port := addrPort(a.LocalAddr()).Port(); port < 40000 || port > 49000 {
				t.Errorf("the relay address is %v", a.LocalAddr())
			}
			if err := errors.Join(ada.CreatePermission(b.LocalAddr()), bob.CreatePermission(a.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			say := func(from, to net.PacketConn, text string) {
				t.Helper()
				if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				buffer := make([]byte, 1500)
				to.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, who, err := to.ReadFrom(buffer)
				if err != nil || string(buffer[:n]) != text || who.String() != from.LocalAddr().String() {
					t.Fatalf("got %q from %v, %v", buffer[:n], who, err)
				}
			}
			say(a, b, "hello")
			say(b, a, strings.Repeat("x", 1200))
			say(a, b, "by a channel now")
			eventually(t, "it is counted", func() bool { // after it has arrived
				stats := s.Stats()
				return stats.Allocations == 2 && stats.Sent >= 1200 && stats.Received >= 1200
			})
			a.Close()
			eventually(t, "the allocation ends", func() bool { return s.Stats().Allocations == 1 })
		})
	}
}

func TestCredentials(t *testing.T) {
	s, at := start(t, Config{})
	good := s.Credential("ada", time.Time{})
	if again := s.Credential("ada", time.Time{}); again.Username[10:] != good.Username[10:] || strings.Contains(good.Username, "ada") {
		t.Errorf("usernames %q, %q", good.Username, again.Username)
	}
	if soon := s.Credential("ada", time.Now().Add(time.Minute)); soon.Lifetime > time.Minute {
		t.Errorf("a credential outlives what it stands for: %v", soon.Lifetime)
	}
	if good.Lifetime != 12*time.Hour {
		t.Errorf("lifetime %v", good.Lifetime)
	}
	old := strconv.FormatInt(time.Now().Unix()-1, 10) + ":x"
	for name, c := range map[string]Credential{
		"wrong password": {Username: good.Username, Password: "x"},
		"another user":   {Username: good.Username + "x", Password: good.Password},
		"expired":        {Username: old, Password: password("secret", old)},
		"no time":        {Username: "ada", Password: password("secret", "ada")},
		"wrong secret":   {Username: good.Username, Password: password("other", good.Username)},
	} {
		before := s.Stats().Refused
		if relay, err := dial(t, "udp", at, c).Allocate(); err == nil {
			t.Errorf("%s: got %v", name, relay.LocalAddr())
		}
		why := "credentials"
		if name == "expired" {
			why = name
		}
		if after := s.Stats().Refused; after[why] == before[why] {
			t.Errorf("%s was not counted: %v", name, after)
		}
	}

	s.Configure("new", Limits{})
	if _, err := dial(t, "udp", at, good).Allocate(); err == nil {
		t.Error("the old secret is good still")
	}
	allocate(t, dial(t, "udp", at, s.Credential("ada", time.Time{})))
}

func TestQuotas(t *testing.T) {
	s, at := start(t, Config{Limits: Limits{Allocations: 4, PerUser: 2, PerAddress: 3}})
	ada, bob := s.Credential("ada", time.Time{}), s.Credential("bob", time.Time{})
	first := allocate(t, dial(t, "udp", at, ada))
	allocate(t, dial(t, "udp", at, ada))
	refused := func(c Credential, why string) {
		t.Helper()
		if _, err := dial(t, "udp", at, c).Allocate(); err == nil || !strings.Contains(err.Error(), "486") {
			t.Errorf("error %v", err)
		}
		if n := s.Stats().Refused[why]; n != 1 {
			t.Errorf("%s: counted %d times", why, n)
		}
	}
	refused(ada, "user")
	allocate(t, dial(t, "udp", at, bob))
	refused(bob, "address")
	first.Close()
	eventually(t, "the allocation ends", func() bool { return s.Stats().Allocations == 2 })
	s.Configure("secret", Limits{Allocations: 2, PerUser: 2, PerAddress: 3})
	refused(ada, "allocations")
	s.Configure("secret", Limits{Allocations: 4, PerUser: 2, PerAddress: 4})
	allocate(t, dial(t, "udp", at, ada))
}

func TestConnectionsAreBounded(t *testing.T) {
	s, at := start(t, Config{Limits: Limits{PerAddress: 2}})
	for range 2 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "they are counted", func() bool { return s.Stats().Connections == 2 })
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third connection got %v", err)
	}
	if n := s.Stats().Refused["connections"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

// Of this machine clients reach the port of links and other relays, and of private
// networks nothing.
func TestPeersThatAreRefused(t *testing.T) {
	link, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	service, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	s, at := start(t, Config{Links: []netip.AddrPort{addrPort(link.LocalAddr())}, Ports: PortRange{20000, 25000}})
	client := dial(t, "udp", at, s.Credential("ada", time.Time{}))
	relay := allocate(t, client)
	for _, ip := range []string{"127.0.0.2", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"} {
		if err := client.CreatePermission(&net.UDPAddr{IP: net.ParseIP(ip), Port: 80}); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s: error %v", ip, err)
		}
	}
	if n := s.Stats().Refused["peer"]; n < 9 {
		t.Errorf("%d were counted", n)
	}
	if _, err := relay.WriteTo([]byte("to a service"), service.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is refused", func() bool { return s.Stats().Refused["port"] == 1 })
	if _, err := relay.WriteTo([]byte("to a link"), link.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	link.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := link.ReadFrom(buffer)
	if err != nil || string(buffer[:n]) != "to a link" {
		t.Fatalf("the link got %q, %v", buffer[:n], err)
	}
	// What comes from there is relayed, and from elsewhere on the machine not.
	service.WriteTo([]byte("from a service"), from)
	eventually(t, "it is refused", func() bool { return s.Stats().Refused["port"] == 2 })
	link.WriteTo([]byte("from a link"), from)
	relay.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := relay.ReadFrom(buffer); err != nil || string(buffer[:n]) != "from a link" {
		t.Errorf("the client got %q, %v", buffer[:n], err)
	}
}

func TestPermissionsAreBounded(t *testing.T) {
	s, at := start(t, Config{})
	client := dial(t, "udp", at, s.Credential("ada", time.Time{}))
	relay := allocate(t, client)
	at203 := func(i int) net.Addr { return &net.UDPAddr{IP: net.IPv4(203, 0, byte(i>>8), byte(i)), Port: 1} }
	for i := range maxPermissions {
		if err := client.CreatePermission(at203(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := client.CreatePermission(at203(maxPermissions)); err == nil {
		t.Error("there is no end")
	}
	if err := client.CreatePermission(at203(0)); err != nil {
		t.Error("a permission is not renewed:", err)
	}
	if n := s.Stats().Refused["permissions"]; n != 1 {
		t.Errorf("counted %d", n)
	}
	relay.Close()
	eventually(t, "nothing is left", func() bool {
		s.permissions.mu.Lock()
		defer s.permissions.mu.Unlock()
		return len(s.permissions.byClient) == 0
	})
}

// A relay for TCP, or a pair of ports, is not to be had.
func TestOtherAllocationsAreRefused(t *testing.T) {
	s, at := start(t, Config{})
	if _, err := dial(t, "tcp", at, s.Credential("ada", time.Time{})).AllocateTCP(); err == nil {
		t.Error("there is a relay for TCP")
	}
	if n := s.Stats().Refused["transport"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no secret": {},
		"ports":     {Secret: "x", Ports: PortRange{2, 1}},
		"port 0":    {Secret: "x", Ports: PortRange{0, 1}},
		"nothing":   {Secret: "x"},
	} {
		if s, err := New(cfg); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
