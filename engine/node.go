package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// Config is what a Node is made of.
type Config struct {
	Signaling Signaling
	Transport Transport
	Clock     Clock // nil: SystemClock
	// Jitter spreads what is tried again: evenly from 0 to 1. It may be called
	// by several goroutines. nil: math/rand/v2.
	Jitter func() float64
	Logger *slog.Logger // nil: slog.Default()
	Limits Limits
	// Dir is the folder in which rooms keep their journals. Empty: a temporary
	// one, which is removed by Close.
	Dir string
	// Presence is told who comes into a room and leaves it: seats, and remote peers
	// with their first and last link. The room's actor calls it, which it must not
	// hold up. Nil: nobody.
	Presence func(room string, change PeerChange, p Peer)
	// Store keeps seats for the next process that is given it and Dir. Nil:
	// they end with the node.
	Store *store.Store
}

// Node is the engine of one process: its rooms. It is safe for use by several
// goroutines.
type Node struct {
	signaling Signaling
	transport Transport
	clock     Clock
	jitter    func() float64
	log       *slog.Logger
	presence  func(room string, change PeerChange, p Peer)
	limits    atomic.Pointer[Limits]
	store     *store.Store

	counters   counters
	links      atomic.Int64 // live and opening
	handshakes atomic.Int64 // opening
	dials      atomic.Int64 // opening, by offers of ours

	mu     sync.Mutex
	rooms  map[string]*Room
	closed bool

	folders   sync.Mutex
	dir       string // empty: none was needed yet
	temporary bool
}

// New makes a node without rooms. It starts nothing.
func New(cfg Config) *Node {
	n := &Node{
		signaling: cfg.Signaling,
		transport: cfg.Transport,
		clock:     cfg.Clock,
		jitter:    cfg.Jitter,
		log:       cfg.Logger,
		presence:  cfg.Presence,
		store:     cfg.Store,
		dir:       cfg.Dir,
		rooms:     make(map[string]*Room),
	}
	if n.clock == nil {
		n.clock = SystemClock{}
	}
	if n.jitter == nil {
		n.jitter = rand.Float64
	}
	if n.log == nil {
		n.log = slog.Default()
	}
	n.SetLimits(cfg.Limits)
	return n
}

// SetLimits changes the limits from now on. What exceeds them already stays.
func (n *Node) SetLimits(l Limits) {
	l = l.withDefaults()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.limits.Store(&l)
	for _, r := range n.rooms {
		if m := r.Memory(); m != nil {
			m.store.SetBounds(l.Graph)
		}
	}
}

// Open opens a room. It fails if one of that name is open, or if signaling
// cannot be opened.
func (n *Node) Open(cfg RoomConfig) (*Room, error) {
	if cfg.Name == "" {
		return nil, errors.New("open room: it has no name")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("open room %q: %w", cfg.Name, ErrClosed)
	}
	if _, ok := n.rooms[cfg.Name]; ok {
		return nil, fmt.Errorf("open room %q: it is open already", cfg.Name)
	}
	r, err := openRoom(n, cfg)
	if err != nil {
		return nil, fmt.Errorf("open room %q: %w", cfg.Name, err)
	}
	n.rooms[cfg.Name] = r
	return r, nil
}

// Room returns the open room of a database name.
func (n *Node) Room(name string) (*Room, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.rooms[name]
	return r, ok
}

// Rooms returns the open rooms, by name.
func (n *Node) Rooms() []*Room {
	n.mu.Lock()
	defer n.mu.Unlock()
	rooms := make([]*Room, 0, len(n.rooms))
	for _, r := range n.rooms {
		rooms = append(rooms, r)
	}
	slices.SortFunc(rooms, func(a, b *Room) int { return strings.Compare(a.name, b.name) })
	return rooms
}

// Close closes all rooms, as Room.Close does, and waits. After it nothing can
// be opened.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, r := range n.Rooms() {
		wg.Go(func() {
			if err := r.Close(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	n.folders.Lock()
	defer n.folders.Unlock()
	if n.temporary {
		errs = append(errs, os.RemoveAll(n.dir))
	}
	return errors.Join(errs...)
}

// mayDial tells whether one more link may be opened by an offer of ours. An
// eighth of the handshakes is for these: two servers that dial each other need
// room to answer, and on a busy machine many handshakes at once take so long
// that all of them fail, those of pages too.
func (n *Node) mayDial() bool {
	limits := n.limits.Load()
	return n.dials.Load() < int64(max(1, limits.Handshakes/8)) &&
		n.handshakes.Load() < int64(limits.Handshakes) && n.links.Load() < int64(limits.Links)
}

func (n *Node) forget(r *Room) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rooms[r.name] == r {
		delete(n.rooms, r.name)
	}
}
