package turn

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// machineTime is how long the list of the machine's addresses is good. New ones come
// by DHCP, as privacy addresses, and with bridges.
const machineTime = 10 * time.Second

// machine are the addresses of this one.
type machine struct {
	list    func() ([]netip.Addr, error)
	log     *slog.Logger
	known   atomic.Pointer[machineList]
	reading atomic.Bool
}

type machineList struct {
	ips   map[netip.Addr]bool
	until time.Time
}

// read reads them, if nobody does just now. On an error those that were known stay.
func (m *machine) read() error {
	if !m.reading.CompareAndSwap(false, true) {
		return nil
	}
	defer m.reading.Store(false)
	next := &machineList{ips: make(map[netip.Addr]bool), until: time.Now().Add(machineTime)}
	list, err := m.list()
	for _, ip := range list {
		next.ips[ip] = true
	}
	if known := m.known.Load(); err != nil && known != nil {
		next.ips = known.ips
	}
	m.known.Store(next)
	return err
}

// has tells whether an address is the machine's.
func (m *machine) has(ip netip.Addr) bool {
	if !time.Now().Before(m.known.Load().until) {
		if err := m.read(); err != nil {
			m.log.Warn("TURN goes by an old list of the machine's addresses", "error", err)
		}
	}
	return m.known.Load().ips[ip]
}

// machineIPs are the addresses of the machine.
func machineIPs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	var ips []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				ips = append(ips, ip.Unmap())
			}
		}
	}
	return ips, nil
}
