// Package memnet is signaling and links in memory, for tests and simulations
// of package engine. What is sent arrives, in order, after an optional delay,
// unless a link was cut. With a Path, links carry packets that the network
// loses, doubles, delays and reorders, and a transport in the manner of SCTP
// makes frames of them again. It behaves as the real network does towards the
// engine: calls come from goroutines of the network, and descriptions are
// texts that mean nothing to the engine.
//
// Its time is that of a clock: the system's, the virtual one of testing/synctest
// in which that is the same, or one of the simulation's own.
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
	// Delay is added to every signal and, without a Path, to every frame. Set
	// the exported fields before use.
	Delay time.Duration
	// Loss is the part of the frames, 0 to 1, that are lost on their way and sent
	// again, without a Path: they, and those after them on their link, come two
	// delays later.
	Loss float64
	// Census has announces and byes collected, and told as one engine.Census to all in a
	// room, every so often. 0: each comes as it is, which among N peers are N² deliveries
	// for every round of announces.
	Census time.Duration
	// Path is what links are made over; nil for links that only delay.
	Path *Path
	// Seed decides what befalls the packets. What a link's packets meet depends
	// on it, on the link's number and on the packets alone.
	Seed uint64
	// Clock is the network's time; nil means engine.SystemClock.
	Clock engine.Clock

	once     sync.Once
	schedule *schedule
	ways     uint64 // made

	mu      sync.Mutex
	rooms   map[string]*meeting // by GenosRTC room
	offers  map[string]*half    // by description
	answers map[string]*half
	made    uint64 // halves
	ids     atomic.Uint64
}

// New makes a network without endpoints.
func New() *Network {
	return &Network{
		rooms:   make(map[string]*meeting),
		offers:  make(map[string]*half),
		answers: make(map[string]*half),
	}
}

// Endpoint is one process's access to the network: its signaling and its
// transport, as package engine wants them.
type Endpoint struct {
	net    *Network
	name   string
	halves map[*half]struct{} // guarded by net.mu
}

// Endpoint makes an endpoint. Its name appears as author of what it signals.
func (n *Network) Endpoint(name string) *Endpoint {
	return &Endpoint{n, name, make(map[*half]struct{})}
}

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
	for h := range e.halves {
		hs = append(append(hs, h), h.tried...)
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
	for h := range e.halves {
		h.freeze(on)
	}
}

// time is the schedule, and by it the clock.
func (n *Network) time() *schedule {
	n.once.Do(func() {
		n.schedule = &schedule{clock: n.Clock}
		if n.Clock == nil {
			n.schedule.clock = engine.SystemClock{}
		}
	})
	return n.schedule
}

func (n *Network) now() time.Time { return n.time().clock.Now() }

func (n *Network) describe(what string) string {
	return fmt.Sprintf("memnet %s %d", what, n.ids.Add(1))
}
