package rtc

import (
	"net"
	"syscall"
)

// receiveBuffer is the size of a socket's receive buffer, 0 if unknown.
func receiveBuffer(s *net.UDPConn) (size int) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		// Linux doubles what was set, for its own bookkeeping.
		if n, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF); err == nil {
			size = n / 2
		}
	})
	return size
}
