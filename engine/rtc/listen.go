package rtc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"
)

// socketBuffer is the size of the sockets' buffers in bytes. The system's
// default loses packets under load even on loopback, which makes every larger
// window harmful.
const socketBuffer = 4 << 20

// listen opens the sockets of an address: one, or without a host one for each
// address of the machine, since a reply must leave from where the request
// came in.
func listen(address string, log *slog.Logger) ([]net.PacketConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips := []net.IP{net.ParseIP(host)}
	switch {
	case host == "":
		if ips, err = localIPs(); err != nil {
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

// localIPs are the machine's addresses that a peer can use.
func localIPs() ([]net.IP, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	var ips []net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && !n.IP.IsMulticast() {
			ips = append(ips, n.IP)
		}
	}
	return ips, nil
}
