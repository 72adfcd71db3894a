//go:build !linux

package rtc

import "net"

// receiveBuffer is the size of a socket's receive buffer, 0 if unknown.
func receiveBuffer(*net.UDPConn) int { return 0 }
