package rtc

import (
	"net"

	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"
)

// machine is the network for links that make the offer. It is pion's, but for
// the sockets' buffers.
type machine struct{ transport.Net }

func newMachine() (machine, error) {
	n, err := stdnet.NewNet()
	return machine{n}, err
}

// Interfaces implements transport.Net. They may have changed since the last link.
func (machine) Interfaces() ([]*transport.Interface, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return n.Interfaces()
}

// ListenUDP implements transport.Net.
func (m machine) ListenUDP(network string, address *net.UDPAddr) (transport.UDPConn, error) {
	c, err := m.Net.ListenUDP(network, address)
	if err == nil {
		setBuffers(c)
	}
	return c, err
}
