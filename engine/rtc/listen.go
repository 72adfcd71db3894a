package rtc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/pion/transport/v4"
)

// socketBuffer is the size of the sockets' buffers in bytes. The system's
// default loses packets under load even on loopback, which makes every larger
// window harmful.
const socketBuffer = 4 << 20

// listen opens the sockets of an address: one, or without a host one for each
// address of the machine at the interfaces, since a reply must leave from where
// the request came in.
func listen(address string, interfaces []string, log *slog.Logger) ([]net.PacketConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips := []net.IP{net.ParseIP(host)}
	switch {
	case host == "":
		if ips, err = localIPs(interfaces); err != nil {
			return nil, err
		}
	case ips[0] == nil:
		return nil, fmt.Errorf("host %q is no IP address", host)
	case ips[0].IsUnspecified():
		return nil, fmt.Errorf("write :%s for all addresses", port)
	}
	var sockets []*net.UDPConn
	var failed error
	for _, ip := range ips {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: number(port)})
		switch {
		case err == nil:
			sockets = append(sockets, conn)
		case errors.Is(err, syscall.EADDRINUSE) || len(ips) == 1:
			for _, s := range sockets {
				s.Close()
			}
			return nil, err
		default:
			// An address may be going or not be ready yet.
			failed = err
			log.Warn("address left out for WebRTC", "ip", ip, "error", err)
		}
	}
	if len(sockets) == 0 {
		return nil, errors.Join(errors.New("no usable address"), failed)
	}
	shared := make([]net.PacketConn, 0, len(sockets))
	for _, s := range sockets {
		setBuffers(s)
		shared = append(shared, s)
	}
	if got := receiveBuffer(sockets[0]); got > 0 && got < socketBuffer {
		log.Warn("the system limits the UDP receive buffer: packets may be lost under load",
			"bytes", got, "wanted", socketBuffer, "hint", "sysctl -w net.core.rmem_max="+strconv.Itoa(socketBuffer))
	}
	return shared, nil
}

// listenIn opens the socket of an address in a network other than the machine's.
func listenIn(n transport.Net, address string) ([]net.PacketConn, error) {
	a, err := n.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	socket, err := n.ListenUDP("udp", a)
	if err != nil {
		return nil, err
	}
	return []net.PacketConn{socket}, nil
}

// number is a port that SplitHostPort accepted; ListenUDP refuses a bad one.
func number(port string) int {
	n, err := strconv.Atoi(port)
	if err != nil {
		return -1
	}
	return n
}

// setBuffers asks for larger buffers. What the system gives is checked after.
func setBuffers(s interface {
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}) {
	_ = s.SetReadBuffer(socketBuffer)
	_ = s.SetWriteBuffer(socketBuffer)
}

// localIPs are the machine's addresses that a peer can use: those at interfaces of
// these names and in these networks, or without any all.
func localIPs(chosen []string) ([]net.IP, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the machine's interfaces: %w", err)
	}
	var ips []net.IP
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || n.IP.IsLinkLocalUnicast() || n.IP.IsMulticast() {
				continue
			}
			if len(chosen) == 0 || slices.ContainsFunc(chosen, func(c string) bool { return c == i.Name || inNetwork(n.IP, c) }) {
				ips = append(ips, n.IP)
			}
		}
	}
	return ips, nil
}

func inNetwork(ip net.IP, cidr string) bool {
	_, network, err := net.ParseCIDR(cidr)
	return err == nil && network.Contains(ip)
}
