package engine

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// Bounds of a Picture. What is beyond them is counted, and not listed.
const (
	PicturePeers     = 1_000
	PictureLinks     = 2_000
	PictureCells     = 500
	PictureTransfers = 100
)

// Picture is a room at one moment, for people who look after it. It has neither
// contents nor secrets: no addresses, no users, no tokens.
type Picture struct {
	Time   time.Time
	Opened time.Time // the room, by this process
	Mesh   MeshState // of the server's peer; Epoch 0: the room has no cells
	// Peers are the server's own peer, its seats, the remote peers with a link,
	// and the others, in this order, and by their ids.
	Peers     []PicturePeer
	Links     []PictureLink // between two of Peers
	Cells     []PictureCell // by number; those without peers are left out
	Transfers []PictureTransfer
	// The numbers of all that there are, listed or not.
	AllPeers, AllSeats, AllLinks, AllTransfers int
	Traffic                                    Traffic
	// RoundTrips are those that are known, of links and seats, in ascending order.
	RoundTrips []time.Duration
}

// PicturePeer is a peer of the room.
type PicturePeer struct {
	Peer
	// Seat is nil for the server's own peer and for remote ones.
	Seat   *PictureSeat
	Remote bool
	Linked int // links with hosted peers that are open
	Cell   int // -1: it is in none
	Bridge bool
}

// PictureSeat is what the room knows of the client in a seat.
type PictureSeat struct {
	Identity  Identity
	Attached  bool          // false: it may be resumed
	Waiting   int           // bytes in its queue
	UnderWay  int           // bytes that its client has not acknowledged, if it does at all
	RoundTrip time.Duration // the least of late, of acknowledgements; 0: not known
}

// PictureLink is a link of a hosted peer with a remote one.
type PictureLink struct {
	Hosted, Remote string // Peer.ID
	Open           bool   // false: it is opening
	Age            time.Duration
	Silence        time.Duration // since the last frame, or the opening
	RoundTrip      time.Duration // 0: not known
	Waiting        int           // bytes that wait for the transport
	UnderWay       int           // bytes that the other end has not acknowledged
	Sent           int64         // bytes, by the outbox
	link           *link
}

// PictureCell is a cell of the sealed roster.
type PictureCell struct {
	Cell   int
	Peers  int
	Bridge string // its peer with links to other cells
	Up     []int  // the cells above with which it has an edge
}

// PictureTransfer is a transfer under way.
type PictureTransfer struct {
	ID         uint64 // the sender's
	From       string
	Channel    string
	Size, Done uint64 // bytes; Done is what all recipients have
	Recipients int    // that do not have all of it
}

// Traffic is what has passed through a room since it was opened.
type Traffic struct {
	// Messages of seats count once, and of remote peers once for each hosted peer that
	// they came to: what a page says to all comes to each of these by a link of its own.
	Messages, MessageBytes uint64
	TransferBytes          uint64 // of seats' transfers, each counted once
	LinkIn, LinkOut        uint64 // bytes of frames on links
}

// traffic is counted by links and by the actor.
type traffic struct {
	messages, messageBytes, transferBytes, linkIn, linkOut atomic.Uint64
}

func (t *traffic) read() Traffic {
	return Traffic{t.messages.Load(), t.messageBytes.Load(), t.transferBytes.Load(), t.linkIn.Load(), t.linkOut.Load()}
}

// Picture takes a picture of the room. It holds up nobody else for longer than it
// takes to copy what is there, which is bounded by the node's limits. It fails with
// ErrClosed.
func (r *Room) Picture() (*Picture, error) {
	p := &Picture{Opened: r.opened, Traffic: r.traffic.read()}
	if !r.ask(func() { r.paint(p) }) {
		return nil, ErrClosed
	}
	// Transports have locks and loops of their own: they are not asked by the actor.
	for i := range p.Links {
		l := &p.Links[i]
		if t := l.link.half(); t != nil && l.Open {
			l.RoundTrip = t.RoundTrip()
			if l.RoundTrip > 0 {
				p.RoundTrips = append(p.RoundTrips, l.RoundTrip)
			}
		}
		l.link = nil
	}
	slices.Sort(p.RoundTrips)
	p.crop()
	return p, nil
}

// paint is of the actor.
func (r *Room) paint(p *Picture) {
	now := r.now()
	p.Time, p.Mesh = now, r.meshState(r.server)
	p.AllSeats, p.AllTransfers = len(r.seats), len(r.transfers)
	p.AllPeers = 1 + len(r.seats) + len(r.remotes)
	p.Peers = make([]PicturePeer, 0, p.AllPeers)
	names := make(map[*hosted]string, len(r.hosted))
	names[r.server] = r.server.id
	p.Peers = append(p.Peers, r.paintPeer(r.server, Peer{r.server.id, TypeServer}))
	for _, s := range r.seats {
		peer := PicturePeer{Peer: Peer{s.id, TypeSession}, Cell: -1}
		if s.hosted != r.server {
			names[s.hosted] = s.id
			peer = r.paintPeer(s.hosted, peer.Peer)
		}
		peer.Seat = s.paint()
		if rtt := peer.Seat.RoundTrip; rtt > 0 {
			p.RoundTrips = append(p.RoundTrips, rtt)
		}
		p.Peers = append(p.Peers, peer)
	}
	for _, rem := range r.remotes {
		peer := PicturePeer{Peer: Peer{rem.id, rem.typ}, Remote: true, Linked: rem.linked}
		peer.Cell, peer.Bridge = r.placeOf(rem.id)
		p.Peers = append(p.Peers, peer)
	}
	for h, name := range names {
		for _, pair := range h.pairs {
			if l := cmp.Or(pair.live, pair.attempt); l != nil {
				p.AllLinks++
				p.Links = append(p.Links, l.paint(name, l == pair.live, now))
			}
		}
	}
	if t := r.mesh.topology; r.mesh.on && t != nil {
		for c := range t.Cells() {
			if len(p.Cells) == PictureCells {
				break
			}
			if n := len(t.Members(c)); n > 0 {
				above := slices.DeleteFunc(t.Neighbours(c), func(other int) bool { return other < c })
				p.Cells = append(p.Cells, PictureCell{c, n, t.Bridge(c), above})
			}
		}
	}
	for t := range r.transfers {
		p.Transfers = append(p.Transfers, t.paint())
	}
}

func (r *Room) paintPeer(h *hosted, peer Peer) PicturePeer {
	p := PicturePeer{Peer: peer}
	p.Cell, p.Bridge = r.placeOf(h.id)
	for _, pair := range h.pairs {
		if pair.live != nil {
			p.Linked++
		}
	}
	return p
}

// placeOf is where the sealed roster has a peer.
func (r *Room) placeOf(id string) (cell int, bridge bool) {
	if t := r.mesh.topology; r.mesh.on && t != nil {
		return t.Cell(id), t.IsBridge(id)
	}
	return -1, false
}

func (s *Seat) paint() *PictureSeat {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &PictureSeat{Identity: s.identity}
	if a := s.attached; a != nil {
		p.Attached, p.Waiting = true, a.waiting
		p.UnderWay, p.RoundTrip = int(a.flight.sent-a.flight.arrived), a.flight.window.least
	}
	return p
}

func (l *link) paint(hosted string, open bool, now time.Time) PictureLink {
	p := PictureLink{Hosted: hosted, Remote: l.pair.remote, Open: open, link: l}
	if !open {
		return p
	}
	p.Age = now.Sub(l.opened)
	p.Silence = now.Sub(time.Unix(0, l.heard.Load()))
	p.Sent = l.out.sent.Load()
	p.UnderWay = int(max(0, p.Sent-l.out.acked.Load()))
	l.out.mu.Lock()
	p.Waiting = l.out.bytes
	l.out.mu.Unlock()
	return p
}

func (t *transfer) paint() PictureTransfer {
	p := PictureTransfer{
		ID: t.key.id, From: t.key.from, Channel: t.what.Channel, Size: t.what.Size,
		Done: t.floor, Recipients: len(t.recipients),
	}
	if t.links != nil {
		p.Recipients += len(t.links.peers)
		if len(t.recipients) == 0 {
			p.Done = t.links.size
		}
	}
	return p
}

// crop puts a picture in order, and leaves out what is beyond its bounds.
func (p *Picture) crop() {
	rank := func(peer *PicturePeer) int {
		switch {
		case !peer.Remote && peer.Seat == nil:
			return 0
		case peer.Seat != nil:
			return 1
		case peer.Linked > 0:
			return 2
		}
		return 3
	}
	slices.SortFunc(p.Peers, func(a, b PicturePeer) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.ID, b.ID))
	})
	p.Peers = p.Peers[:min(len(p.Peers), PicturePeers)]
	seen := make(map[string]bool, len(p.Peers))
	for i := range p.Peers {
		seen[p.Peers[i].ID] = true
	}
	p.Links = slices.DeleteFunc(p.Links, func(l PictureLink) bool { return !seen[l.Hosted] || !seen[l.Remote] })
	slices.SortFunc(p.Links, func(a, b PictureLink) int {
		return cmp.Or(cmp.Compare(a.Hosted, b.Hosted), cmp.Compare(a.Remote, b.Remote))
	})
	p.Links = p.Links[:min(len(p.Links), PictureLinks)]
	slices.SortFunc(p.Transfers, func(a, b PictureTransfer) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID))
	})
	p.Transfers = p.Transfers[:min(len(p.Transfers), PictureTransfers)]
}
