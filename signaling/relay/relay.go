// Package relay is the core of the embedded Nostr relay (NIP-01): it carries
// the ephemeral events by which the peers of GenosRTC rooms find each other, and
// stores nothing. It knows no HTTP: a client is a Transport, see package handler
// for the one on WebSockets.
//
// An event goes a straight way: a connection's reader parses it, checks what
// costs little, has its signature verified, encodes it once, and queues a
// reference to it for every subscription that matches; each connection's writer
// writes what waits in batches. Nobody waits for a slow reader.
package relay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/nbd-wtf/go-nostr"
)

// Errors of Accept.
var (
	ErrClosed                = errors.New("relay closed")
	ErrTooManyConnections    = errors.New("too many connections to the relay")
	ErrTooManyForThisAddress = errors.New("too many connections to the relay from this address")
)

// Relay is an embedded Nostr relay. Its methods may be called from several
// goroutines.
type Relay struct {
	open      bool
	limits    Limits
	logger    *slog.Logger
	counters  counters
	topics    *topics
	index     *index
	verifier  *verifier
	addresses *addresses
	local     localSpeaker

	mu     sync.Mutex
	closed bool
	conns  map[*Conn]struct{}
	locals map[*localSubscription]struct{}
	wg     sync.WaitGroup // conns
}

// New makes a relay. It runs no goroutine until somebody connects.
func New(cfg Config) *Relay {
	limits := cfg.Limits.withDefaults()
	logger := cfg.Logger
	if logger == nil {
		logger = slog.Default()
	}
	t := newTopics()
	return &Relay{
		open:      cfg.Open,
		limits:    limits,
		logger:    logger,
		topics:    t,
		index:     newIndex(),
		verifier:  newVerifier(limits.Remembered),
		addresses: newAddresses(limits),
		local:     localSpeaker{speaker: speaker{topics: t, limit: maxLocalPeers}},
		conns:     map[*Conn]struct{}{},
		locals:    map[*localSubscription]struct{}{},
	}
}

// SetRooms names the databases whose topics are carried, replacing those that
// were named before: the root topics of each database's two rooms, and the self
// topics of peers heard in them. Subscriptions are not affected.
func (r *Relay) SetRooms(databases []string) { r.topics.setRooms(databases) }

// Open tells whether everybody's ephemeral events are carried.
func (r *Relay) Open() bool { return r.open }

// Limits returns the limits in force.
func (r *Relay) Limits() Limits { return r.limits }

// Accept admits a client that wants to connect from an address (an IP address;
// IPv6 hosts count by their /64). The caller then calls either Serve, or Cancel
// if the connection came to nothing. The errors are ErrClosed,
// ErrTooManyConnections and ErrTooManyForThisAddress.
func (r *Relay) Accept(address string) (*Conn, error) {
	key := addressKey(address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if len(r.conns) >= r.limits.Connections {
		r.counters.connectionsFull.Add(1)
		return nil, ErrTooManyConnections
	}
	a := r.addresses.connect(key)
	if a == nil {
		r.counters.connectionsAddress.Add(1)
		return nil, ErrTooManyForThisAddress
	}
	c := newConn(r, key, a)
	r.conns[c] = struct{}{}
	r.wg.Add(1)
	r.counters.connections.Add(1)
	return c, nil
}

// forget ends what Accept began.
func (r *Relay) forget(c *Conn) {
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
	r.addresses.disconnect(c.key, c.address)
	r.counters.connections.Add(-1)
	r.wg.Done()
}

// Close closes all connections with 1001 and ends the subscriptions of this
// process, and waits for them. Connections that are left when ctx ends are
// aborted; the error is then that of ctx.
func (r *Relay) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	conns := slices.Collect(maps.Keys(r.conns))
	locals := slices.Collect(maps.Keys(r.locals))
	r.mu.Unlock()

	for _, c := range conns {
		c.finish(CloseGoingAway, "server stopping")
	}
	for _, s := range locals {
		s.cancel()
	}
	done := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range conns {
		c.abort()
	}
	<-done
	return ctx.Err()
}

// lateBatch is how many of the subscriptions that are served late are served at
// once.
const lateBatch = 256

// fanOut queues an event for every subscription that it matches. It waits for
// nobody.
func (r *Relay) fanOut(m *message) {
	found := foundMatches.Get().(*matches)
	defer foundMatches.Put(found)
	defer found.reset()
	r.index.match(m.event, found)
	r.deliver(m, found.prompt)
	for late := range slices.Chunk(found.late, lateBatch) {
		runtime.Gosched() // those who write to the ones before are to run
		r.deliver(m, late)
	}
}

func (r *Relay) deliver(m *message, subs []*subscription) {
	var announces, events int
	for _, sub := range subs {
		o := sub.queue.push(delivery{sub, m})
		announces += o.droppedAnnounces
		events += o.droppedEvents
		if o.full > r.limits.Slow && sub.conn != nil {
			sub.conn.tooSlow()
		}
	}
	r.counters.deliveries.Add(uint64(len(subs)))
	r.countDropped(announces, events)
}

var foundMatches = sync.Pool{New: func() any { return new(matches) }}

func (r *Relay) countDropped(announces, events int) {
	if announces > 0 {
		r.counters.droppedAnnounces.Add(uint64(announces))
	}
	if events > 0 {
		r.counters.droppedEvents.Add(uint64(events))
	}
}

// rooms returns the rooms that an event's topics belong to. The error says that
// one of them is not carried.
func (r *Relay) rooms(ev *nostr.Event) (rooms []string, err error) {
	if r.open {
		return nil, nil
	}
	for _, tag := range ev.Tags {
		if len(tag) < 2 || tag[0] != "x" {
			continue
		}
		room, ok := r.topics.room(tag[1])
		if !ok {
			return nil, errNotOurs
		}
		rooms = append(rooms, room)
	}
	if rooms == nil {
		return nil, errNoTopic
	}
	return rooms, nil
}
