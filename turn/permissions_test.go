package turn

import (
	"cmp"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/pion/turn/v5"
)

// A client that has all that it may have keeps it by its refreshes.
func TestKnownPeersPassAtTheLimit(t *testing.T) {
	var p permissions
	peer := func(i int) net.IP { return net.IPv4(203, 0, byte(i>>8), byte(i)) }
	for i := range maxPermissions {
		if !p.take("ada", peer(i)) {
			t.Fatal(i)
		}
	}
	bind := func(g *granted) { g.channels++ }
	for i := range maxPermissions {
		if !p.take("ada", peer(i)) {
			t.Fatalf("with %d channels no more can be bound to a known peer", i)
		}
		p.change("ada", bind)
	}
	if !p.take("ada", peer(0)) || p.take("ada", peer(maxPermissions)) {
		t.Error("at the limit a known peer passes, and no other")
	}
	p.change("ada", bind)
	if p.take("ada", peer(0)) {
		t.Error("there is no end of channels")
	}
	if !p.take("bob", peer(0)) {
		t.Error("another client has no room")
	}
}

// reuseAddress lets several connections go out from one port.
func reuseAddress(_, _ string, c syscall.RawConn) (err error) {
	controlled := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
	return cmp.Or(controlled, err)
}

// What a client has by one address of ours does not end with what it has by another.
func TestOneClientPortAtTwoAddresses(t *testing.T) {
	var tcp [2]net.Listener
	var udp [2]net.PacketConn
	tcp[0], udp[0] = listen(t)
	tcp[1], udp[1] = listen(t)
	s, _ := start(t, Config{UDP: udp[:], TCP: tcp[:]})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Control: reuseAddress}
	var clients [2]*turn.Client
	var relays [2]net.PacketConn
	for i := range 2 {
		conn, err := dialer.Dial("tcp", tcp[i].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		dialer.LocalAddr = conn.LocalAddr()
		clients[i] = dialOn(t, turn.NewSTUNConn(conn), tcp[i].Addr().String(), s.Credential("ada", time.Time{}))
		relays[i] = allocate(t, clients[i])
		if err := clients[i].CreatePermission(&net.UDPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 1}); err != nil {
			t.Fatal(err)
		}
	}
	known := func() int {
		s.permissions.mu.Lock()
		defer s.permissions.mu.Unlock()
		return len(s.permissions.byClient)
	}
	if n := known(); n != 2 {
		t.Errorf("permissions of %d clients", n)
	}
	relays[0].Close()
	eventually(t, "the first connection ends", func() bool { return s.Stats().Connections == 1 })
	if n := known(); n != 1 {
		t.Errorf("permissions of %d clients", n)
	}
	if _, err := clients[1].SendBindingRequest(); err != nil {
		t.Errorf("the second connection: %v", err)
	}
}
