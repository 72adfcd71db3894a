// Package memnet is signaling and links in memory, for tests and simulations
// of package engine. What is sent arrives, in order, after an optional delay,
// unless a link was cut. It behaves as the real network does towards the
// engine: calls come from goroutines of the network, and descriptions are
// texts that mean nothing to the engine.
package memnet

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Network connects all endpoints made of it.
type Network struct {
	// Delay is added to every signal and frame. Set it before use.
	Delay time.Duration

	mu      sync.Mutex
	rooms   map[string]map[*signalRoom]struct{} // by GenosRTC room
	offers  map[string]*half                    // by description
	answers map[string]*half
	halves  map[*half]struct{}
	ids     atomic.Uint64
}

// New makes a network without endpoints.
func New() *Network {
	return &Network{
		rooms:   make(map[string]map[*signalRoom]struct{}),
		offers:  make(map[string]*half),
		answers: make(map[string]*half),
		halves:  make(map[*half]struct{}),
	}
}

// Endpoint is one process's access to the network: its signaling and its
// transport, as package engine wants them.
type Endpoint struct {
	net  *Network
	name string
}

// Endpoint makes an endpoint. Its name appears as author of what it signals.
func (n *Network) Endpoint(name string) *Endpoint { return &Endpoint{n, name} }

var (
	_ engine.Signaling = (*Endpoint)(nil)
	_ engine.Transport = (*Endpoint)(nil)
)

// ErrCut is the reason of links that Cut ended.
var ErrCut = errors.New("memnet: cut")

// Cut ends all links that have a half at the endpoint, without farewell, as if
// it had crashed.
func (e *Endpoint) Cut() {
	e.net.mu.Lock()
	var hs []*half
	for h := range e.net.halves {
		if h.owner == e || (h.peer != nil && h.peer.owner == e) {
			hs = append(hs, h)
		}
	}
	e.net.mu.Unlock()
	for _, h := range hs {
		h.end(ErrCut)
	}
}

// Freeze stops the endpoint's links from carrying anything out of it, as when a
// page is suspended, until it is called with false. Nothing is lost.
func (e *Endpoint) Freeze(on bool) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	for h := range e.net.halves {
		if h.owner == e {
			h.frozen.Store(on)
			h.notify()
		}
	}
}

func (n *Network) describe(what string) string {
	return fmt.Sprintf("memnet %s %d", what, n.ids.Add(1))
}
