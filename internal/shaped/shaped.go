// Package shaped is a network in memory, of pion's vnet, that delays, loses and
// shapes what passes between two ends: for tests and benchmarks of engine/rtc
// which must not depend on a real network.
package shaped

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v4/vnet"

	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// Path is what packets meet, in each direction for itself.
type Path struct {
	RTT  time.Duration // there and back
	Loss float64       // part of the packets, 0 to 1
	Rate int           // bits/s; 0 means no limit
	Seed uint64        // decides which packets are lost
}

const (
	// queue is how many bytes wait for their turn at a limited rate, and burst
	// how many pass at once.
	queue = 1 << 20
	burst = 16 << 10
)

// Network is the network and the two ends in it.
type Network struct {
	Ends    [2]*rtc.Transport
	closers []io.Closer
}

// New makes a network. On error there is nothing to close.
func New(p Path) (n *Network, err error) {
	n = new(Network)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make a network in memory: %w", err), n.Close())
		}
	}()
	router, err := vnet.NewRouter(&vnet.RouterConfig{
		CIDR: "10.0.0.0/24", MinDelay: p.RTT / 2, QueueSize: 100_000,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelError},
	})
	if err != nil {
		return n, err
	}
	// The router calls this from one goroutine.
	random := rand.New(rand.NewPCG(p.Seed, 0))
	router.AddChunkFilter(func(vnet.Chunk) bool { return random.Float64() >= p.Loss })
	for i := range n.Ends {
		ip := fmt.Sprintf("10.0.0.%d", i+1)
		host, err := vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{ip}})
		if err != nil {
			return n, err
		}
		var nic vnet.NIC = host
		if p.Rate > 0 {
			q, err := vnet.NewQueue(host, vnet.NewTBFQueue(p.Rate, burst, queue))
			if err != nil {
				return n, err
			}
			n.closers = append(n.closers, q)
			nic = q
		}
		if err := router.AddNet(nic); err != nil {
			return n, err
		}
		n.Ends[i], err = rtc.New(rtc.Config{UDP: ip + ":3478", Net: host, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return n, err
		}
		n.closers = append(n.closers, n.Ends[i])
	}
	if err := router.Start(); err != nil {
		return n, err
	}
	n.closers = append(n.closers, stopper{router})
	return n, nil
}

type stopper struct{ *vnet.Router }

func (s stopper) Close() error { return s.Stop() }

// Close ends all links and the network.
func (n *Network) Close() error {
	var errs []error
	for _, c := range n.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
