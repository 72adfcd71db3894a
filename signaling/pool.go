// Package signaling carries GenosRTC's announces, offers and answers over Nostr
// relays (docs/protocol.md, "Signaling"; NIP-01). [Pool] is the client: it
// implements engine.Signaling on any number of remote relays and on the
// embedded one.
package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nbd-wtf/go-nostr"
)

// seenLimit bounds the ids of events that are remembered, to know those that
// several relays bring. The oldest is forgotten first.
const seenLimit = 16384

// Config says what a Pool is made of. Everything is optional.
type Config struct {
	// Relays are the URLs of remote relays, as for SetRelays.
	Relays []string
	// Local is the relay in this process.
	Local Local
	// LocalName is what Signal.Relay and Status call Local. Default: "local".
	LocalName string
	// Key is the secret key that signs our events, 64 hexadecimal digits in
	// lower case. Default: a random one, as nothing depends on it from one start
	// to the next.
	Key string
	// HTTPClient opens the sockets. Default: http.DefaultClient.
	HTTPClient *http.Client
	// Logger; default: slog.Default().
	Logger *slog.Logger
}

// Pool is the signaling of one process: a socket to each remote relay, shared
// by all rooms and hosted peers. Relays do not wait for each other, and rooms
// do not either.
type Pool struct {
	log    *slog.Logger
	http   *http.Client
	secret string // hex
	author string // the public key, hex
	local  *localClient
	drafts *queue[draft]
	seen   *lru.Cache[string, struct{}] // ids of genuine events

	ctx    context.Context
	kill   context.CancelFunc
	signed chan struct{} // closed when the signer has ended
	done   chan struct{} // closed when Close has done its work

	mu     sync.Mutex
	closed bool
	rooms  map[string]*room
	relays map[string]*client
	left   map[string]demand // by URL, for the life of the process
	stats  Stats
}

var _ engine.Signaling = (*Pool)(nil)

// errClosed is what a closed pool says.
var errClosed = errors.New("signaling is closed")

// NewPool starts signaling. Relays are connected in the background; the error
// is about the configuration. The caller closes the pool.
func NewPool(cfg Config) (*Pool, error) {
	if cfg.Key == "" {
		cfg.Key = nostr.GeneratePrivateKey()
	}
	if !nostr.IsValid32ByteHex(cfg.Key) {
		return nil, errors.New("signaling key must be 64 hexadecimal digits in lower case")
	}
	author, err := nostr.GetPublicKey(cfg.Key)
	if err != nil || !nostr.IsValidPublicKey(author) {
		return nil, errors.New("signaling key is not a secp256k1 secret key")
	}
	if _, err := parseRelayURLs(cfg.Relays); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.LocalName == "" {
		cfg.LocalName = "local"
	}
	seen, err := lru.New[string, struct{}](seenLimit)
	if err != nil {
		return nil, fmt.Errorf("making the memory of events: %w", err)
	}
	p := &Pool{
		log:    cfg.Logger,
		http:   cfg.HTTPClient,
		secret: cfg.Key,
		author: author,
		drafts: newQueue[draft](draftLimit),
		seen:   seen,
		signed: make(chan struct{}),
		done:   make(chan struct{}),
		rooms:  make(map[string]*room),
		relays: make(map[string]*client),
		left:   make(map[string]demand),
	}
	p.ctx, p.kill = context.WithCancel(context.Background())
	go p.sign()
	if cfg.Local != nil {
		p.local = newLocalClient(p, cfg.Local, cfg.LocalName)
		go p.local.run()
	}
	return p, p.SetRelays(cfg.Relays)
}

// SetRelays makes urls (ws:// or wss://) the remote relays: new ones are
// connected in the background, those that are no longer named are closed, and
// SetRelays waits for that; the others do not notice. On error nothing changes.
func (p *Pool) SetRelays(urls []string) error {
	wanted, err := parseRelayURLs(urls)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errClosed
	}
	var removed []*client
	for url, c := range p.relays {
		if !slices.Contains(wanted, url) {
			delete(p.relays, url)
			removed = append(removed, c)
		}
	}
	for _, url := range wanted {
		if p.relays[url] != nil {
			continue
		}
		c := newClient(p, url)
		p.relays[url] = c
		if d, ok := p.left[url]; ok {
			c.giveUp(d)
			c.kill()
			close(c.done)
			continue
		}
		go c.run()
	}
	p.mu.Unlock()

	for _, c := range removed {
		c.finish()
		defer time.AfterFunc(removeTimeout, c.kill).Stop()
	}
	for _, c := range removed {
		<-c.done
	}
	return nil
}

func parseRelayURLs(urls []string) ([]string, error) {
	var parsed []string
	for _, s := range urls {
		url, err := ParseRelayURL(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(parsed, url) {
			parsed = append(parsed, url)
		}
	}
	return parsed, nil
}

// Status tells of every relay, the one in this process first, the others by
// URL.
func (p *Pool) Status() []RelayStatus {
	p.mu.Lock()
	clients := slices.Collect(maps.Values(p.relays))
	p.mu.Unlock()
	all := make([]RelayStatus, 0, len(clients)+1)
	for _, c := range clients {
		all = append(all, c.snapshot())
	}
	slices.SortFunc(all, func(a, b RelayStatus) int { return strings.Compare(a.URL, b.URL) })
	if p.local != nil {
		all = slices.Insert(all, 0, p.local.snapshot())
	}
	return all
}

// Sealed tells when a peer last sent something to an open room, by its id, that the
// room's password does not open; zero if it is not known to have. Nothing proves that
// it was that peer.
func (p *Pool) Sealed(room, peer string) time.Time {
	p.mu.Lock()
	r := p.rooms[room]
	p.mu.Unlock()
	if r == nil {
		return time.Time{}
	}
	at, _ := r.sealed.Peek(peer)
	return at
}

// Stats tells of the messages that did not reach any relay.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *Pool) count(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// Open implements engine.Signaling. A room can be open once at a time.
func (p *Pool) Open(id, password string, deliver func(engine.Signal)) (engine.SignalingRoom, error) {
	key, err := newEnvelopeKey(password, id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	err = nil
	switch {
	case p.closed:
		err = errClosed
	case p.rooms[id] != nil:
		err = errors.New("it is open already")
	}
	if err != nil {
		p.mu.Unlock()
		return nil, fmt.Errorf("opening signaling of room %q: %w", id, err)
	}
	r := newRoom(p, id, key, deliver)
	p.rooms[id] = r
	p.mu.Unlock()
	p.refresh(r)
	return r, nil
}

// forget ends a room's subscriptions.
func (p *Pool) forget(r *room) {
	p.mu.Lock()
	delete(p.rooms, r.id)
	p.mu.Unlock()
	p.refresh(r)
}

func (p *Pool) openRooms() []*room {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.rooms))
}

// relay is what rooms and the signer need of a relay's client.
type relay interface {
	// hears tells whether somebody may listen to a topic there.
	hears(topic string) bool
	// post sends an event, refresh a room's subscription. They do not block.
	post(outgoing)
	refresh(*room)
	// finish ends the client once it has sent what is queued.
	finish()
}

// named returns one relay, or with "" all of them.
func (p *Pool) named(name string) []relay {
	var relays []relay
	if p.local != nil && (name == "" || name == p.local.status.URL) {
		relays = append(relays, p.local)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, c := range p.relays {
		if name == "" || name == url {
			relays = append(relays, c)
		}
	}
	return relays
}

// listeners returns those of the named relays where a topic has an audience.
func (p *Pool) listeners(name, topic string) []relay {
	return slices.DeleteFunc(p.named(name), func(r relay) bool { return !r.hears(topic) })
}

func (p *Pool) refresh(r *room) {
	for _, relay := range p.named("") {
		relay.refresh(r)
	}
}

// leave gives up a relay for the life of the process.
func (p *Pool) leave(c *client, d demand) {
	p.mu.Lock()
	p.left[c.url] = d
	p.mu.Unlock()
	c.giveUp(d)
	p.log.Warn("relay left for good", "relay", c.url, "wants", d.wants, "text", clip(d.text))
}

// Close sends what is queued, the byes above all, for as long as ctx lasts,
// closes the sockets with 1001, ends rooms that are still open, and waits until
// everything has ended. The error tells that ctx ended first.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	rooms := slices.Collect(maps.Values(p.rooms))
	clients := slices.Collect(maps.Values(p.relays))
	p.mu.Unlock()
	if !first {
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting for signaling to close: %w", ctx.Err())
		}
	}
	defer close(p.done)
	defer p.kill()
	defer context.AfterFunc(ctx, p.kill)()

	for _, r := range rooms {
		r.Close()
	}
	p.drafts.close()
	<-p.signed
	for _, r := range p.named("") {
		r.finish()
	}
	for _, c := range clients {
		<-c.done
	}
	if p.local != nil {
		<-p.local.done
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("closing signaling before all was sent: %w", err)
	}
	return nil
}
