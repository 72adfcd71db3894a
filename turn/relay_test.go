package turn

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/turn/v5"
)

// What one relay sends to the public address of another arrives though the network
// does not bring it back, and seems to come from the public address of the sender.
func TestRelaysReachEachOtherByPublicAddress(t *testing.T) {
	var s Server
	s.config.Ports = PortRange{30000, 39999}
	s.Configure("secret", Limits{})
	s.machine.list = machineIPs
	if err := s.machine.read(); err != nil {
		t.Fatal(err)
	}
	local, public := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("203.0.113.7")
	at := &relays{server: &s, local: local, public: public, peers: newPeers(&s, local, public)}
	open := func(user string) (net.PacketConn, net.Addr) {
		t.Helper()
		conn, told, err := at.AllocatePacketConn(turn.AllocateListenerConfig{Network: "udp4", UserID: user + "\n192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		if a := addrPort(told); a.Addr() != public || a.Port() < 30000 || a.Port() > 39999 {
			t.Fatalf("told %v", told)
		}
		return conn, told
	}
	a, atA := open("a")
	b, atB := open("b")
	if _, err := a.WriteTo([]byte("hello"), atB); err != nil {
		t.Fatal(err)
	}
	b.SetReadDeadline(time.Now().Add(5 * time.Second))
	buffer := make([]byte, 100)
	n, from, err := b.ReadFrom(buffer)
	if err != nil || string(buffer[:n]) != "hello" || from.String() != atA.String() {
		t.Fatalf("got %q from %v, %v", buffer[:n], from, err)
	}
	if !at.peers.mayReach(addrPort(atB)) {
		t.Error("an open relay cannot be reached")
	}
	for _, c := range []net.PacketConn{a, b} {
		c.Close()
		if err := c.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		if _, _, err := c.ReadFrom(buffer); err == nil {
			t.Error("a closed relay reads on")
		}
	}
	if at.peers.mayReach(addrPort(atB)) {
		t.Error("the port of a relay is open after its end")
	}
	s.relaying.close(func(*relayConn) {})
	if n := s.quota.taken(); n != 0 {
		t.Errorf("%d are taken", n)
	}
	if _, _, err := at.AllocatePacketConn(turn.AllocateListenerConfig{Network: "udp4", UserID: "c\n192.0.2.1"}); err == nil || s.quota.taken() != 0 {
		t.Errorf("after the end: %v, %d taken", err, s.quota.taken())
	}
	for name, want := range map[string]turn.AllocateListenerConfig{
		"another family": {Network: "udp6", UserID: "a\n192.0.2.1"},
		"an even port":   {Network: "udp4"},
		"a port":         {Network: "udp4", UserID: "a\n192.0.2.1", RequestedPort: 30000},
	} {
		if _, _, err := at.AllocatePacketConn(want); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
