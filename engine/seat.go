package engine

import (
	"context"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// SeatConfig is what a seat is taken with.
type SeatConfig struct {
	// Identity is the one wished for. The seat gets the lesser of it and what
	// room and limits grant.
	Identity Identity
	// Pending is the number of bytes that may wait in the seat's queue; 0
	// means the node's limit.
	Pending int
}

// Seat is the place of one participant of this process in a room: its peer id
// there and its queue of events. Its methods may be used by several
// goroutines, but for Next, which is one goroutine's.
type Seat struct {
	room     *Room
	id       string
	identity Identity
	hosted   *hosted // speaks for it in the mesh
	limit    int

	mu      sync.Mutex
	queue   []Event
	waiting int // bytes in queue
	taken   int // bytes that the last Next returned
	err     error
	pings   int
	wake    chan struct{} // has room for one token
	bulk    bulkQueue     // comes after queue

	transfers seatTransfers
}

// Join takes a seat. The peers returned are those connected with it at this
// moment; whatever changes afterwards comes as a PeerEvent. It fails with
// ErrRoomFull, ErrClosed, or ctx's error.
func (r *Room) Join(ctx context.Context, cfg SeatConfig) (*Seat, []Peer, error) {
	s := &Seat{room: r, limit: cfg.Pending, wake: make(chan struct{}, 1)}
	var (
		peers []Peer
		err   error
	)
	if !r.ask(func() {
		if err = ctx.Err(); err == nil {
			peers, err = r.seat(s, cfg)
		}
	}) {
		err = ErrClosed
	}
	if err != nil {
		return nil, nil, err
	}
	return s, peers, nil
}

func (r *Room) seat(s *Seat, cfg SeatConfig) ([]Peer, error) {
	limits := r.node.limits.Load()
	switch {
	case r.closing:
		return nil, ErrClosed
	case len(r.seats) >= limits.SeatsPerRoom:
		return nil, ErrRoomFull
	}
	if s.limit <= 0 {
		s.limit = limits.Pending
	}
	peers := []Peer{{r.server.id, r.server.typ}}
	for _, other := range r.seats {
		peers = append(peers, Peer{other.id, TypeSession})
	}
	s.identity = max(cfg.Identity, r.identity) // server is the lesser one
	// A hosted peer costs a link for each remote peer.
	if len(r.hosted)-1 >= limits.HostedPerRoom || int(r.node.links.Load())+len(r.remotes) >= limits.Links {
		s.identity = IdentityServer
	}
	if s.identity == IdentitySession {
		s.hosted = r.host(TypeSession)
		s.id = s.hosted.id
	} else {
		s.hosted = r.server
		s.id = newPeerID()
		for _, p := range r.server.pairs {
			if p.live != nil {
				peers = append(peers, Peer{p.remote, r.remotes[p.remote].typ})
			}
		}
	}
	s.hosted.seats[s] = struct{}{}
	r.tellAll(PeerEvent{PeerJoin, Peer{s.id, TypeSession}})
	r.seats[s.id] = s
	return peers, nil
}

// Leave gives the seat up; Next returns ErrLeft. It is idempotent and does not
// wait for the network.
func (s *Seat) Leave() {
	s.end(ErrLeft)
	s.room.post(func() { s.room.unseat(s) })
}

func (r *Room) unseat(s *Seat) {
	if r.seats[s.id] != s {
		return
	}
	delete(r.seats, s.id)
	delete(s.hosted.seats, s)
	r.transfersLeft(s)
	if s.hosted != r.server && !r.closing {
		r.unhost(s.hosted)
	}
	r.tellAll(PeerEvent{PeerLeave, Peer{s.id, TypeSession}})
}

// ID is the seat's peer id. With IdentityServer the mesh sees the server's
// instead.
func (s *Seat) ID() string { return s.id }

// Identity tells how the mesh sees the seat.
func (s *Seat) Identity() Identity { return s.identity }

// Outgoing is a message that a seat sends.
type Outgoing struct {
	// Ref comes back in the Results and Progress of this message.
	Ref     uint64
	Channel string
	Content Content // must not be changed afterwards
	// To are the recipients; nil means every peer of the room.
	To []string
	// Progress asks for Progress events.
	Progress bool
}

// Send gives a message to the room. It blocks while the room is behind, or
// until ctx ends. It fails with ErrChannelName, ErrTooMany (recipients),
// ErrLeft, ErrSlow or ErrClosed; what single recipients cannot take comes as
// Result events. Messages of one goroutine keep their order.
func (s *Seat) Send(ctx context.Context, o Outgoing) error {
	if !ValidChannel(o.Channel) {
		return ErrChannelName
	}
	if len(o.To) > maxTargets {
		return ErrTooMany
	}
	if err := s.ended(); err != nil {
		return err
	}
	// Encoded here rather than in the actor, once for all links: compressing
	// takes time.
	frames, err := frame.Encode(o.Channel, s.hosted.nextNonce(o.Channel), o.Content)
	if err != nil {
		frames = nil // too large for the mesh, not for other seats
	}
	s.room.node.counters.messagesOut.Add(1)
	return s.room.postCtx(ctx, func() { s.room.send(s, o, frames) })
}

// Ping measures the way to a peer: a Pong event with ref follows. It fails with
// ErrTooMany if too many are under way.
func (s *Seat) Ping(ctx context.Context, ref uint64, peer string) error {
	s.mu.Lock()
	err := s.err
	if err == nil && s.pings >= maxPings {
		err = ErrTooMany
	}
	if err == nil {
		s.pings++
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.room.postCtx(ctx, func() { s.room.ping(s, ref, peer) })
}

// Pong answers a PingRequest.
func (s *Seat) Pong(token uint64) {
	s.room.post(func() { s.room.ponged(s, token) })
}

// Next waits for events and returns all that wait, appended to buf. They count
// as waiting until the next call. Its errors end the seat: ErrSlow, ErrLeft,
// ErrClosed; but ctx's does not.
func (s *Seat) Next(ctx context.Context, buf []Event) ([]Event, error) {
	s.mu.Lock()
	s.taken = 0
	s.mu.Unlock()
	for {
		s.mu.Lock()
		if s.err != nil {
			err := s.err
			s.mu.Unlock()
			return buf, err
		}
		if len(s.queue)+len(s.bulk.waiting) > 0 {
			buf = s.bulk.take(append(buf, s.queue...))
			clear(s.queue)
			s.queue = s.queue[:0]
			s.taken, s.waiting = s.waiting, 0
			s.mu.Unlock()
			return buf, nil
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return buf, ctx.Err()
		}
	}
}

// push queues an event. A seat whose queue is full is cut off, alone: nobody
// waits for it. Progress is left out rather than fill the queue.
func (s *Seat) push(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	full := s.waiting+s.taken > 0 && s.waiting+s.taken+e.cost() > s.limit
	switch e := e.(type) {
	case TransferProgress:
		if e.Fraction < 1 && s.waiting+s.taken > s.limit/2 {
			return
		}
	case Progress:
		if e.Fraction < 1 && s.waiting+s.taken > s.limit/2 {
			return
		}
	case Pong:
		s.pings--
	}
	if full {
		s.stop(ErrSlow)
		s.room.node.counters.slowSeats.Add(1)
		return
	}
	s.queue = append(s.queue, e)
	s.waiting += e.cost()
	s.signal()
}

func (s *Seat) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.stop(err)
	}
}

// stop needs the lock.
func (s *Seat) stop(err error) {
	s.err = err
	s.queue, s.waiting = nil, 0
	s.bulk.waiting = nil
	s.signal()
}

func (s *Seat) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Seat) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
