package engine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"sync"
	"time"
)

// A database name names two GenosRTC rooms (docs/protocol.md, "Rooms").

// AppRoom is the room of a database's channels and presence.
func AppRoom(database string) string { return "app-sync-" + database }

// SyncRoom is the room of a database's graph data.
func SyncRoom(database string) string { return "graph-sync-room-" + database }

// RoomConfig is what a room is opened with.
type RoomConfig struct {
	// Name is the database name that applications pass to gdb(name).
	Name string
	// Password seals the room's signaling, and sessions must give it. Empty
	// means none.
	Password string
	// Identity is the one that seats get unless they ask for less.
	Identity Identity
	// Redeliver names the channels on which a message that a link with a remote
	// peer may have lost is sent again on the next: it arrives at least once
	// rather than at most once. Names that
	// ValidChannel refuses match nothing.
	Redeliver []string
}

// Room is a GenosRTC room that this process takes part in.
type Room struct {
	node     *Node
	name     string
	password [sha256.Size]byte
	open     bool // no password
	log      *slog.Logger

	signaling SignalingRoom

	inbox chan func()
	// stopping ends the actor; done is closed once it has ended, so that
	// nobody waits for its inbox in vain.
	stopping chan struct{}
	done     chan struct{}
	stop     sync.Once
	// tasks are the goroutines that work for the room: link writers, and the
	// makers of session descriptions. Every link counts until LinkClosed.
	tasks sync.WaitGroup

	// What follows belongs to the actor.
	identity  Identity
	redeliver map[string]bool // by channel
	server    *hosted
	hosted    map[string]*hosted // by peer id, the server's included
	seats     map[string]*Seat   // by seat id
	remotes   map[string]*remote // by peer id
	seq       uint64             // of the last message
	pings     map[uint64]*relayedPing
	pingSeq   uint64
	toDial    []*pair // in order
	dialing   bool    // dial will be called in any case
	closing   bool
}

func openRoom(n *Node, cfg RoomConfig) (*Room, error) {
	r := &Room{
		node:      n,
		name:      cfg.Name,
		password:  sha256.Sum256([]byte(cfg.Password)),
		open:      cfg.Password == "",
		log:       n.log.With("room", cfg.Name),
		inbox:     make(chan func(), inboxSize),
		stopping:  make(chan struct{}),
		done:      make(chan struct{}),
		identity:  cfg.Identity,
		redeliver: channelSet(cfg.Redeliver),
		hosted:    make(map[string]*hosted),
		seats:     make(map[string]*Seat),
		remotes:   make(map[string]*remote),
		pings:     make(map[uint64]*relayedPing),
	}
	sig, err := n.signaling.Open(AppRoom(cfg.Name), cfg.Password, r.deliver)
	if err != nil {
		return nil, err
	}
	r.signaling = sig
	go r.run()
	r.post(func() {
		r.server = r.host(TypeServer)
		r.after(watchEvery, r.tick)
	})
	return r, nil
}

// Name returns the database name.
func (r *Room) Name() string { return r.name }

// CheckPassword tells in constant time whether given is the room's password.
// Where the room has none, anything is.
func (r *Room) CheckPassword(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], r.password[:]) == 1 || r.open
}

// SetIdentity changes the identity of seats that join from now on.
func (r *Room) SetIdentity(id Identity) { r.post(func() { r.identity = id }) }

// run is the actor.
func (r *Room) run() {
	defer close(r.done)
	for {
		select {
		case f := <-r.inbox:
			f()
			// Nobody else receives: what is there now need not be waited for.
			for range len(r.inbox) {
				(<-r.inbox)()
			}
		case <-r.stopping:
			return
		}
	}
}

// post hands f to the actor. It waits while the inbox is full, which is how the
// room holds its sources back, and reports whether the room still ran.
func (r *Room) post(f func()) bool {
	if r.tryPost(f) {
		return true
	}
	select {
	case r.inbox <- f:
		return true
	case <-r.done:
		return false
	}
}

// tryPost is post that does not wait: the usual case, and cheaper.
func (r *Room) tryPost(f func()) bool {
	select {
	case <-r.done:
		return false
	default:
	}
	select {
	case r.inbox <- f:
		return true
	default:
		return false
	}
}

// ask runs f in the actor and waits for it.
func (r *Room) ask(f func()) bool {
	ran := make(chan struct{})
	if !r.post(func() { f(); close(ran) }) {
		return false
	}
	select {
	case <-ran:
		return true
	case <-r.done:
		// The actor may have run f as its last act.
		select {
		case <-ran:
			return true
		default:
			return false
		}
	}
}

// after runs f in the actor after d, unless the room has ended by then.
func (r *Room) after(d time.Duration, f func()) (stop func()) {
	return r.node.clock.AfterFunc(d, func() { r.post(f) })
}

func (r *Room) now() time.Time { return r.node.clock.Now() }

// Close takes farewell of the mesh, ends all links and seats (their Next
// returns ErrClosed), and waits for everything that the room owns, or for ctx.
// It is idempotent.
func (r *Room) Close(ctx context.Context) error {
	var links []*link
	r.ask(func() {
		if r.closing {
			return
		}
		r.closing = true
		for _, s := range r.seats {
			s.end(ErrClosed)
		}
		for _, h := range r.hosted {
			r.signaling.Bye(h.id)
			links = append(links, h.allLinks()...)
		}
	})
	for _, l := range links {
		l.farewell()
	}
	if len(links) > 0 {
		gone := make(chan struct{})
		cancel := r.node.clock.AfterFunc(leaveTime, func() { close(gone) })
		select {
		case <-gone:
		case <-ctx.Done():
			cancel()
		}
	}
	for _, l := range links {
		l.close(ErrClosed)
	}
	r.signaling.Close()
	r.node.forget(r)
	r.stop.Do(func() { close(r.stopping) })
	<-r.done

	ended := make(chan struct{})
	go func() { r.tasks.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
