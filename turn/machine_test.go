package turn

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// An address that the machine gets while the server runs is its own soon, and stays
// so while the list cannot be read.
func TestNewAddressesOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was, is := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
		list, failure := []netip.Addr{was}, error(nil)
		s := &Server{machine: machine{
			log: slog.New(slog.DiscardHandler), list: func() ([]netip.Addr, error) { return list, failure },
		}}
		if err := s.machine.read(); err != nil {
			t.Fatal(err)
		}
		local := netip.MustParseAddr("10.0.0.5")
		p := newPeers(s, local, local)
		if p.mayReachIP(was) || !p.mayReachIP(is) {
			t.Error("before")
		}
		list = []netip.Addr{was, is}
		time.Sleep(machineTime)
		if p.mayReachIP(is) || p.mayReach(netip.AddrPortFrom(is, 80)) {
			t.Error("a new address of ours passes for another's")
		}
		list, failure = nil, errors.New("broken")
		time.Sleep(machineTime)
		if p.mayReachIP(is) {
			t.Error("after an error")
		}
		list, failure = []netip.Addr{was}, nil
		time.Sleep(machineTime)
		if !p.mayReachIP(is) {
			t.Error("what was ours is another's now")
		}
	})
}
