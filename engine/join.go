package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// tokenKey is what is kept of a resume token: the SHA-256 of it and of the
// room's password, so that nobody comes in again who does not know the new one.
type tokenKey = [sha256.Size]byte

func newToken() string {
	var secret [24]byte
	rand.Read(secret[:])
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

func (r *Room) tokenKey(token string) tokenKey {
	return sha256.Sum256(append([]byte(token), r.password[:]...))
}

// Join takes a seat and attaches to it. The peers returned are those connected
// with it at this moment; whatever changes afterwards comes as a PeerEvent. It
// fails with ErrRoomFull, ErrClosed, ErrJournal, or ctx's error.
func (r *Room) Join(ctx context.Context, cfg SeatConfig) (*Attachment, []Peer, error) {
	s := &Seat{room: r, resume: cfg.Resume}
	token := ""
	if s.resumable() {
		token = newToken()
		s.key = r.tokenKey(token)
	}
	var (
		a      *Attachment
		peers  []Peer
		recent []uint64
		err    error
	)
	if !r.ask(func() {
		if err = ctx.Err(); err != nil {
			return
		}
		if err = r.seat(s, cfg); err != nil {
			return
		}
		a, peers = r.attach(s, cfg, s.joined, token)
		recent = r.history.last(cfg.History)
	}) {
		err = ErrClosed
	}
	if err != nil {
		return nil, nil, err
	}
	if len(recent) > 0 {
		a.prepend(recent)
	}
	// Who is told of the seat must find it again, whatever happens to us.
	if err := r.keeper.flush(ctx); err != nil {
		a.Leave()
		return nil, nil, err
	}
	return a, peers, nil
}

// Resume attaches to the seat whose token it is, which may have an attachment.
// What lies in the journal behind ack, the last message that has arrived, comes
// first; results and pongs that may not have arrived come again. It fails with
// ErrUnknownSeat, ErrExpired, ErrLeft or ErrOverflow, which say what became of
// the seat, with ErrClosed, ErrJournal, or ctx's error.
func (r *Room) Resume(ctx context.Context, token string, ack uint64, cfg SeatConfig) (*Attachment, []Peer, error) {
	var (
		a     *Attachment
		peers []Peer
		err   error
	)
	key := r.tokenKey(token)
	if !r.ask(func() {
		if err = ctx.Err(); err != nil {
			return
		}
		s := r.tokens[key]
		if s == nil {
			err = r.whyEnded(key)
		} else if err = r.reachable(s, ack); err == nil {
			a, peers = r.attach(s, cfg, max(ack, s.joined), token)
			r.transfersBack(s)
		}
		r.node.counters.resumed(err)
	}) {
		err = ErrClosed
	}
	return a, peers, err
}

func (r *Room) whyEnded(key tokenKey) error {
	if why, ok := r.ended.Get(key); ok {
		return why
	}
	return ErrUnknownSeat
}

// reachable tells whether the journal has all that the seat has missed. If not,
// the seat is of no use any more.
func (r *Room) reachable(s *Seat, ack uint64) error {
	if err := r.openJournal(); err != nil {
		return err
	}
	first := r.journal.First() // 0: the journal is empty
	switch from := max(ack, s.joined); {
	case ack > r.head:
		// The journal has lost its end, in a power cut: its numbers were given
		// twice.
		r.unseat(s, ErrUnknownSeat)
		return ErrUnknownSeat
	case from < r.head && (first == 0 || from+1 < first):
		r.unseat(s, ErrOverflow)
		return ErrOverflow
	}
	return nil
}

// seat takes a seat that is new.
func (r *Room) seat(s *Seat, cfg SeatConfig) error {
	switch {
	case r.closing:
		return ErrClosed
	case r.full():
		return ErrRoomFull
	}
	if s.resumable() {
		if err := r.openJournal(); err != nil {
			return err
		}
		r.retain(s.resume)
		s.joined = r.head
	}
	r.speaker(s, max(cfg.Identity, r.identity), "") // server is the lesser one
	r.moved(PeerJoin, s)
	r.add(s)
	r.own(s, cfg)
	r.keeper.put(s)
	return nil
}

// full tells whether there is no place for one more seat or reader.
func (r *Room) full() bool {
	return len(r.seats)+len(r.readers) >= cmp.Or(r.most, r.node.limits.Load().SeatsPerRoom)
}

// speaker gives a seat the peer that speaks for it, and the id if it has none.
func (r *Room) speaker(s *Seat, identity Identity, id string) {
	limits := r.node.limits.Load()
	// A hosted peer costs a link for each remote peer.
	if len(r.hosted)-1 >= limits.HostedPerRoom || int(r.node.links.Load())+len(r.remotes) >= limits.Links {
		identity = IdentityServer
	}
	s.identity, s.hosted, s.id = identity, r.server, id
	if identity == IdentitySession {
		s.hosted = r.host(newPeerID(), TypeSession)
		if id == "" {
			s.id = s.hosted.id
		}
	} else if id == "" {
		s.id = newPeerID()
	}
	s.hosted.seats[s] = struct{}{}
}

func (r *Room) add(s *Seat) {
	r.seats[s.id] = s
	if s.resumable() {
		r.tokens[s.key] = s
	}
}

// own notes whose a seat is, and ends one of his if he has too many.
func (r *Room) own(s *Seat, cfg SeatConfig) {
	if s.owner != cfg.Owner {
		r.disown(s)
		s.owner = cfg.Owner
		r.owned[s.owner]++
	}
	if s.owner == "" || cfg.PerOwner <= 0 || r.owned[s.owner] <= cfg.PerOwner {
		return
	}
	var oldest *Seat
	for _, other := range r.tokens {
		if other.owner == s.owner && other != s && other.attached == nil && (oldest == nil || other.deadline.Before(oldest.deadline)) {
			oldest = other
		}
	}
	if oldest != nil {
		r.node.counters.drop("seat: its owner has too many")
		r.unseat(oldest, ErrExpired)
	}
}

func (r *Room) disown(s *Seat) {
	if s.owner == "" {
		return
	}
	if r.owned[s.owner]--; r.owned[s.owner] == 0 {
		delete(r.owned, s.owner)
	}
	s.owner = ""
}

// restore takes the seats again that a process before this one kept. None has an
// attachment.
func (r *Room) restore(seats []*Seat) {
	for _, s := range seats {
		r.speaker(s, s.identity, s.id)
		r.add(s)
		r.await(s)
	}
}

// attach gives a seat a new attachment, which has all messages behind from.
func (r *Room) attach(s *Seat, cfg SeatConfig, from uint64, token string) (*Attachment, []Peer) {
	s.user = cfg.User
	a := &Attachment{
		seat: s, token: token, sender: s.sender(), limit: cfg.Pending, initial: s.taken, journal: r.journal,
		cursor: from, accepted: s.taken, handed: from, wake: cfg.Wake, hears: cfg.Hears,
	}
	if a.wake == nil {
		a.wake = make(chan struct{}, 1)
	}
	s.hears = cfg.Hears
	if a.limit <= 0 {
		a.limit = r.node.limits.Load().Pending
	}
	if s.resumable() {
		a.reading = from < r.head
		a.behind = a.reading
		s.resume = cfg.Resume
		r.own(s, cfg)
		r.retain(s.resume)
	}
	a.flight.known = from > s.joined // it acknowledged before
	s.moves = r.moves()              // the peers that are returned have them
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.attached; old != nil && old.err == nil {
		old.stop(ErrResumed)
	}
	s.attached = a
	s.confirm(from)
	for _, k := range s.kept {
		a.queue = append(a.queue, k.Event)
		a.waiting += k.Event.cost()
	}
	s.kept = nil
	a.signal() // for that, and for what is to be read
	return a, r.peersOf(s)
}

// peersOf are the peers that a seat is connected with.
func (r *Room) peersOf(s *Seat) []Peer {
	peers := []Peer{{r.server.id, r.server.typ}}
	for _, other := range r.seats {
		if other != s {
			peers = append(peers, Peer{other.id, TypeSession})
		}
	}
	for _, p := range s.hosted.pairs {
		if p.live != nil {
			peers = append(peers, Peer{p.remote, r.remotes[p.remote].typ})
		}
	}
	return peers
}

// detach ends the attachment of a seat, which then waits for the next one.
func (r *Room) detach(a *Attachment) {
	s := a.seat
	if s.attached != a || r.seats[s.id] != s {
		return
	}
	if !s.resumable() {
		r.unseat(s, ErrLeft)
		return
	}
	s.mu.Lock()
	s.attached = nil
	s.mu.Unlock()
	r.transfersAway(s)
	r.await(s)
}

// await gives a seat its time to be attached to again.
func (r *Room) await(s *Seat) {
	s.deadline = r.now().Add(s.resume)
	r.after(s.resume, func() {
		if r.seats[s.id] == s && s.attached == nil && !r.now().Before(s.deadline) && !r.closing {
			r.node.counters.seatsExpired.Add(1)
			r.unseat(s, ErrExpired)
		}
	})
}

// Dismiss ends all seats for good (Next returns ErrClosed) and removes the room's
// journal. It is for a room that is to be closed because nobody is to come back.
func (r *Room) Dismiss() {
	r.ask(func() {
		for _, s := range r.seats {
			r.unseat(s, ErrClosed)
		}
		r.endReaders(ErrClosed)
		r.removeJournal()
	})
}

// unseat ends a seat.
func (r *Room) unseat(s *Seat, why error) {
	if r.seats[s.id] != s {
		return
	}
	delete(r.seats, s.id)
	delete(s.hosted.seats, s)
	r.endStreams(func(o *Stream) bool { return o.seat == s })
	r.disown(s)
	r.transfersLeft(s)
	if s.resumable() {
		delete(r.tokens, s.key)
		delete(r.unsynced, s)
		r.ended.Add(s.key, why)
		r.keeper.delete(s)
	}
	if a := s.attached; a != nil {
		a.end(why)
	}
	if s.hosted != r.server && !r.closing {
		r.unhost(s.hosted)
	}
	r.moved(PeerLeave, s)
	r.unused = r.now()
}
