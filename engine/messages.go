package engine

import (
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// ValidChannel tells whether applications may use a channel of this name: 1 to
// 12 bytes of UTF-8 that do not begin with "@_", or ChannelMesh.
func ValidChannel(name string) bool {
	return name == ChannelMesh || frame.ValidName(name) && !strings.HasPrefix(name, internalPrefix)
}

// posting is a message on its way into the room: of a seat, or of a link.
type posting struct {
	seq uint64   // in the journal; 0 if it is not there
	to  audience // as the journal has it

	seat   *Seat
	out    Outgoing
	frames [][]byte // of out; none if it is too large for links
	links  bool     // out is for links too
	heard  *Message // what seats and readers hear of out, once one does
	// told hears of a message of the server's own peer; it has room for that.
	told chan published

	link     *link
	in       *frame.Message
	mesh     *meshPosting // that brought it; nil: it came as a plain frame
	progress *frame.Progress
}

func (p *posting) size() int {
	if p.link != nil {
		return len(p.in.Content.Data)
	}
	return len(p.out.Content.Data)
}

// toAll tells whether it is a seat's message to everybody.
func (p *posting) toAll() bool { return p.link == nil && p.out.To == nil }

// message is what seats hear of a seat's message: one for all of them.
func (p *posting) message() *Message {
	if p.heard == nil {
		p.heard = &Message{Seq: p.seq, Channel: p.out.Channel, From: p.seat.id, Content: p.out.Content}
	}
	return p.heard
}

// fanOut passes the messages to all that the postings begin with on to seats and
// readers. Each gets them at once, which is one wake-up of who reads it.
func (r *Room) fanOut(posted []*posting) {
	n := 0
	for n < len(posted) && posted[n].toAll() {
		n++
	}
	posted = posted[:n]
	r.tellMoves()
	for _, s := range r.seats {
		s.pushAll(posted)
		for _, p := range posted {
			if p.out.Progress && p.seat != s && s.mayHear(p.out.Channel) {
				p.seat.progressed(s.id, &p.out)
			}
		}
	}
	for s := range r.readers {
		s.pushAll(posted)
	}
}

// stage takes a message. Those that come together are written down together.
func (r *Room) stage(p *posting) {
	r.staged = append(r.staged, p)
	if r.stagedBytes += p.size(); r.stagedBytes >= stagedBytes {
		r.flush()
	}
}

// flush writes down what was staged and then passes it on, in order.
func (r *Room) flush() {
	if len(r.staged) == 0 {
		return
	}
	batch := r.staged
	posted := batch[:0]
	for _, p := range batch {
		if r.admit(p) {
			posted = append(posted, p)
		}
	}
	if err := r.write(posted); err != nil {
		r.log.Error("messages were refused", "messages", len(posted), "error", err)
		for _, p := range posted {
			p.refuse()
		}
		posted = nil
	}
	for i, p := range posted {
		r.traffic.messages.Add(1)
		r.traffic.messageBytes.Add(uint64(p.size()))
		if p.link != nil {
			r.received(p)
			continue
		}
		if p.toAll() && (i == 0 || !posted[i-1].toAll()) {
			r.fanOut(posted[i:])
		}
		r.send(p)
		r.written(p.seat, p.out.Ref)
		if p.told != nil {
			p.told <- published{journal: r.durably()}
		}
	}
	clear(batch)
	r.staged, r.stagedBytes = batch[:0], 0
}

// admit tells whether a message is to be passed on.
func (r *Room) admit(p *posting) bool {
	if p.link != nil {
		if p.mesh == nil && p.link.pair.live != p.link {
			r.node.counters.drop("message: by a link that was replaced")
			return false
		}
		return true
	}
	s, ref := p.seat, p.out.Ref
	if r.seats[s.id] != s && p.told == nil {
		return false
	}
	if s.resumable() && ref > 0 {
		if ref <= s.posted {
			if s.taken > 0 {
				s.accept(0) // a repetition: it is told again
			}
			return false
		}
		s.posted = ref
	}
	p.links = r.reachesLinks(s, p.out.To)
	return true
}

// reachesLinks tells whether a seat's message goes to a remote peer.
func (r *Room) reachesLinks(s *Seat, to []string) bool {
	if r.mesh.on && to == nil {
		return len(r.remotes) > 0
	}
	if to == nil {
		for _, pair := range s.hosted.pairs {
			if pair.known() {
				return true
			}
		}
	}
	for _, id := range to {
		if pair := s.hosted.pairs[id]; pair != nil && pair.known() || r.inMesh(id) {
			return true
		}
	}
	return false
}

// refuse is for a message that could not be written down. Its seat may send it
// again by another attachment; a remote peer's is lost.
func (p *posting) refuse() {
	if p.link != nil {
		p.link.room.node.counters.drop("message: not written down")
		return
	}
	if p.told != nil {
		p.told <- published{err: ErrJournal}
		return
	}
	s := p.seat
	s.posted = s.taken
	if a := s.attached; a != nil {
		a.end(ErrJournal)
	}
}

// record is what the journal holds of a message.
func (p *posting) record() record {
	if l := p.link; l != nil {
		if m := p.mesh; m != nil {
			return record{from: m.from, to: m.to, listed: m.listed, channel: p.in.Channel, content: p.in.Content}
		}
		rec := record{from: l.pair.remote, to: toListed, channel: p.in.Channel, content: p.in.Content}
		if h := l.pair.h; h == l.room.server {
			rec.to = toServer
		} else {
			for s := range h.seats {
				rec.listed = append(rec.listed, s.id)
			}
		}
		return rec
	}
	s := p.seat
	rec := record{from: s.id, seat: true, ref: p.out.Ref, channel: p.out.Channel, content: p.out.Content, links: p.links}
	if p.out.To != nil {
		rec.to = toListed
		for _, to := range p.out.To {
			if other := s.room.local(to); other != nil && other != s {
				rec.listed = append(rec.listed, other.id)
			}
		}
	}
	return rec
}

// local is the seat that a peer id means: its own, or that of the peer which
// speaks for it alone.
func (r *Room) local(id string) *Seat {
	if s := r.seats[id]; s != nil {
		return s
	}
	if h := r.hosted[id]; h != nil && h != r.server {
		for s := range h.seats {
			return s
		}
	}
	return nil
}

// tellAll pushes an event to every seat and reader.
func (r *Room) tellAll(e Event) {
	for _, s := range r.seats {
		s.push(e)
	}
	for s := range r.readers {
		s.push(e)
	}
}

// send passes on a message of a seat; to all seats fanOut has.
func (r *Room) send(p *posting) {
	s, o := p.seat, &p.out
	var d *delivery
	if p.links {
		d = r.track(s, p.seq)
	}
	if o.To == nil { // seats have it
		if r.mesh.on {
			r.meshSend(p, d)
			return
		}
		if o.Channel == ChannelMesh {
			return
		}
		for _, pair := range s.hosted.pairs {
			if pair.known() {
				r.sendToPair(s, pair, o, p.frames, d)
			}
		}
		return
	}
	done := make(map[string]struct{}, len(o.To))
	var far []string
	for _, to := range o.To {
		other := r.local(to)
		if other != nil && other != s {
			to = other.id
		}
		if _, twice := done[to]; twice {
			continue
		}
		done[to] = struct{}{}
		if other != nil && other != s {
			if !other.mayHear(o.Channel) {
				s.push(Result{o.Ref, to, ErrNotHeard})
				continue
			}
			r.tellMovesTo(other)
			other.push(p.message())
			s.progressed(other.id, o)
		} else if o.Channel == ChannelMesh && r.remotes[to] != nil {
			s.push(Result{o.Ref, to, ErrNotHeard}) // it is said to all there
		} else if pair := s.hosted.pairs[to]; pair != nil && pair.known() {
			r.sendToPair(s, pair, o, p.frames, d)
		} else if r.inMesh(to) {
			far = append(far, to)
		} else if to == r.server.id {
			s.progressed(to, o) // nobody listens there
		} else {
			s.push(Result{o.Ref, to, ErrUnknownPeer})
		}
	}
	if far != nil {
		r.meshSendTo(p, far, d)
	}
}

// progressed reports a message as passed on to a peer in this process.
func (s *Seat) progressed(peer string, o *Outgoing) {
	if o.Progress {
		s.push(Progress{Ref: o.Ref, Peer: peer, Fraction: 1})
	}
}

// received passes on a message that came by a link.
func (r *Room) received(p *posting) {
	if p.mesh != nil {
		r.receivedMesh(p)
		return
	}
	l, m := p.link, p.in
	r.toCells(l, m)
	if p.progress != nil {
		r.arriving(l, p.progress)
	}
	msg := &Message{Seq: p.seq, Channel: m.Channel, From: l.pair.remote, Content: m.Content}
	for s := range l.pair.h.seats {
		s.push(msg)
	}
}

// arriving tells how much of a message has come.
func (r *Room) arriving(l *link, p *frame.Progress) {
	if l.pair.live != l {
		return
	}
	for s := range l.pair.h.seats {
		s.push(Progress{Channel: p.Channel, Peer: l.pair.remote, Fraction: p.Fraction, Meta: p.Meta})
	}
}
