package engine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/genosrtc/caddy-genosrtc/engine/journal"
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
	// Durable has what seats send told as Taken only once it would survive a
	// power cut. By default it would survive the end of the process.
	Durable bool
	// Rules say what may be sent on channels, one for each.
	Rules []Rule
	// Seats is the number of seats and readers that it has. 0: Limits.SeatsPerRoom.
	Seats int
	// Memory has the room keep its graph: see Room.Memory. Without it what it kept
	// before stays on the disk.
	Memory bool
	// AnonymousWrite lets everybody in the room write to its graph, and not only
	// those who have shown credentials. It is for who asks, the engine does not.
	AnonymousWrite bool
	// Cells says whether the room's peers form cells, and CellSize of how many peers, as
	// it does to the pages; 0: as the frames of the others tell, and until then 10.
	Cells    CellsMode
	CellSize int
}

// Room is a GenosRTC room that this process takes part in.
type Room struct {
	node     *Node
	name     string
	password [sha256.Size]byte
	open     bool // no password
	log      *slog.Logger

	signaling SignalingRoom

	// rules by channel: never changed, but replaced.
	rules atomic.Pointer[map[string]*channelRule]

	opened  time.Time
	traffic traffic

	inbox chan job
	// stopping ends the actor; done is closed once it has ended, so that
	// nobody waits for its inbox in vain.
	stopping chan struct{}
	done     chan struct{}
	stop     sync.Once
	// tasks are the goroutines that work for the room, such as the makers of
	// session descriptions. Every link counts until LinkClosed, with its writer.
	tasks sync.WaitGroup
	// keeper has seats outlive the process.
	keeper *keeper

	memory         atomic.Pointer[Memory] // the room's graph; nil: it keeps none
	anonymousWrite atomic.Bool
	// syncs is the graph that the room is the sync room of; nil for a room of
	// channels.
	syncs *Memory
	// cellsOff is RoomConfig.Cells for those who are not the actor.
	cellsOff atomic.Bool

	// What follows belongs to the actor.
	identity  Identity
	redeliver map[string]bool // by channel
	server    *hosted
	hosted    map[string]*hosted // by peer id, the server's included
	seats     map[string]*Seat   // by seat id
	tokens    map[tokenKey]*Seat // those that can be resumed
	readers   map[*Seat]struct{} // the seats of readers, which are no others' business
	owned     map[string]int     // seats by owner
	presence  presence
	mesh      mesh
	ended     *lru.LRU[tokenKey, error]
	remotes   map[string]*remote          // by peer id
	kicked    *lru.LRU[string, time.Time] // by peer id, until when
	pings     map[uint64]*relayedPing
	pingSeq   uint64
	toDial    []*pair // in order
	// waitingBytes are those that wait for links.
	waitingBytes int
	dialing      bool // dial will be called in any case
	closing      bool
	most         int // RoomConfig.Seats

	streams []*Stream // of seats, in order

	transfers map[*transfer]struct{} // under way
	assembled int                    // bytes of them that are kept for links

	journal     *journal.Journal // nil: nobody needs it
	head        uint64           // its last entry
	age         time.Duration    // that it keeps, if more than journalAge
	history     history
	unused      time.Time  // since when there are neither tokens nor readers
	arena       []byte     // of the records that are written together
	entries     [][]byte   // they themselves
	staged      []*posting // to be written together
	stagedBytes int
	durable     bool
	unsynced    map[*Seat]uint64 // the highest ref that waits for the disk
	syncing     bool
	deliveries  []*delivery // that may be open, in order
	checked     checkpoint  // the last one
	tracked     bool        // something was open since
	// checkpointing means that the next one will be made in any case.
	checkpointing bool
	unstored      int // bytes appended since the last snapshot
}

// job is what the actor does next: a message to be passed on, or anything else.
type job struct {
	post *posting
	run  func()
}

func newRoom(n *Node, cfg RoomConfig) *Room {
	r := &Room{
		node:      n,
		name:      cfg.Name,
		password:  sha256.Sum256([]byte(cfg.Password)),
		open:      cfg.Password == "",
		log:       n.log.With("room", cfg.Name),
		opened:    n.clock.Now(),
		inbox:     make(chan job, inboxSize),
		stopping:  make(chan struct{}),
		done:      make(chan struct{}),
		identity:  cfg.Identity,
		redeliver: channelSet(cfg.Redeliver),
		hosted:    make(map[string]*hosted),
		seats:     make(map[string]*Seat),
		remotes:   make(map[string]*remote),
		pings:     make(map[uint64]*relayedPing),
		tokens:    make(map[tokenKey]*Seat),
		owned:     make(map[string]int),
		readers:   make(map[*Seat]struct{}),
		durable:   cfg.Durable,
		unsynced:  make(map[*Seat]uint64),
		most:      cfg.Seats,
		kicked:    newLRU[string, time.Time](maxKicked, nil),
		mesh:      newMesh(n, cfg.Cells, cfg.CellSize),
	}
	r.cellsOff.Store(cfg.Cells == CellsOff)
	return r
}

func openRoom(n *Node, cfg RoomConfig) (*Room, error) {
	r := newRoom(n, cfg)
	r.anonymousWrite.Store(cfg.AnonymousWrite)
	if err := r.SetRules(cfg.Rules); err != nil {
		return nil, err
	}
	r.ended = newLRU[tokenKey, error](maxEnded, nil)
	seats, err := r.remembered()
	if err != nil {
		return nil, err
	}
	id := newPeerID()
	if cfg.Memory {
		m, err := openMemory(r, cfg.Password, id, cfg.Cells, cfg.CellSize)
		if err != nil {
			return nil, errors.Join(err, r.closeJournal())
		}
		r.memory.Store(m)
	}
	r.keeper = newKeeper(n, n.store, cfg.Name, r.log)
	if err := r.start(AppRoom(cfg.Name), cfg.Password, id, func() { r.restore(seats) }); err != nil {
		r.keeper.close()
		return nil, errors.Join(err, r.closeJournal(), r.Forget(context.Background()))
	}
	return r, nil
}

// start opens the room's signaling and runs the actor, whose first act is to
// host the server's peer, and then begun.
func (r *Room) start(id, password, server string, begun func()) error {
	sig, err := r.node.signaling.Open(id, password, r.deliver)
	if err != nil {
		return err
	}
	r.signaling = sig
	go r.run()
	r.post(func() {
		r.server = r.host(server, TypeServer)
		begun()
		r.after(watchEvery, r.tick)
		if r.mesh.on {
			r.mesh.seals.Changed(r.now())
			r.meshTickSoon()
		}
	})
	return nil
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

// SetDurable changes RoomConfig.Durable from now on.
func (r *Room) SetDurable(on bool) { r.post(func() { r.durable = on }) }

// SetSeats changes RoomConfig.Seats from now on. Seats beyond it stay.
func (r *Room) SetSeats(n int) { r.post(func() { r.most = n }) }

// run is the actor.
func (r *Room) run() {
	defer close(r.done)
	for {
		select {
		case j := <-r.inbox:
			r.do(j)
			// Nobody else receives: what is there now need not be waited for.
			for range len(r.inbox) {
				r.do(<-r.inbox)
			}
			r.flush()
		case <-r.stopping:
			return
		}
	}
}

// do does a job. Messages in a row are put together.
func (r *Room) do(j job) {
	if j.post != nil {
		r.stage(j.post)
		return
	}
	r.flush()
	j.run()
}

// post hands f to the actor. It waits while the inbox is full, which is how the
// room holds its sources back, and reports whether the room still ran.
func (r *Room) post(f func()) bool { return r.give(job{run: f}) }

// give is post for any job.
func (r *Room) give(j job) bool {
	if r.tryGive(j) {
		return true
	}
	select {
	case r.inbox <- j:
		return true
	case <-r.done:
		return false
	}
}

// tryGive is give that does not wait: the usual case, and cheaper.
func (r *Room) tryGive(j job) bool {
	select {
	case <-r.done:
		return false
	default:
	}
	select {
	case r.inbox <- j:
		return true
	default:
		return false
	}
}

// giveCtx is give that gives up when ctx ends.
func (r *Room) giveCtx(ctx context.Context, j job) error {
	if r.tryGive(j) {
		return nil
	}
	select {
	case r.inbox <- j:
		return nil
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
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

// Close takes farewell of the mesh, ends all links and attachments (their Next
// returns ErrClosed), and waits for everything that the room owns, or for ctx.
// Seats that can be resumed are there again when the room is opened by another
// node with the same storage. It is idempotent.
func (r *Room) Close(ctx context.Context) error {
	var links []*link
	forgotten := make(chan error, 1)
	go func() { forgotten <- r.Forget(ctx) }()
	r.ask(func() {
		if r.closing {
			return
		}
		r.closing = true
		for _, s := range r.seats {
			if a := s.attached; a != nil {
				a.end(ErrClosed)
			}
			r.keeper.put(s)
		}
		r.endReaders(ErrClosed)
		r.checkpoint()
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
	r.keeper.close()
	if err := r.closeJournal(); err != nil {
		r.log.Warn("the room's journal was not closed well", "error", err)
	}
	if err := <-forgotten; err != nil {
		r.log.Warn("the room's memory was not closed well", "error", err)
	}

	ended := make(chan struct{})
	go func() { r.tasks.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
