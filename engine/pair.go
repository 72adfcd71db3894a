package engine

import (
	"context"
	"time"

	"github.com/genosrtc/caddy-genosrtc/internal/retry"
)

// pair is a hosted peer and a remote one, and what is between them: nothing, a
// link that is opening, or a live one. It outlives its links, because what was
// before decides what may follow. It belongs to the room's actor.
type pair struct {
	h      *hosted
	remote string

	live    *link
	attempt *link // opening
	// offer is one that waits: for a hold-off to pass, for an attempt by
	// another relay to fail, or for a link to prove that it is alive.
	offer     *Signal
	offerTime time.Time
	// retry stops the timer that will look at the offer again.
	retry func()

	// notBefore is the end of the hold-off, which concerns the page with this
	// author key only.
	notBefore time.Time
	author    string

	// dialAt is when we may make an offer; zero if nothing was heard since the
	// last link. toDial means that it is in the room's queue of them.
	dialAt time.Time
	toDial bool
	delays retry.Delays // between our offers, until a link opens

	// waiting is what is sent while the link is down; nil while nobody expects
	// it back.
	waiting *waiting
	trace   trace
}

func (h *hosted) pair(remote string) *pair {
	p := h.pairs[remote]
	if p == nil {
		p = &pair{h: h, remote: remote}
		h.pairs[remote] = p
	}
	return p
}

// retryIn has the room advance the pair after d, and not at an earlier call's
// time.
func (r *Room) retryIn(p *pair, d time.Duration) {
	if p.retry != nil {
		p.retry()
	}
	p.retry = r.after(d, func() { r.advance(p) })
}

// idle tells whether nothing would be lost with the pair.
func (p *pair) idle(now time.Time) bool {
	return p.live == nil && p.attempt == nil && p.offer == nil && p.waiting == nil && now.After(p.notBefore)
}

// onOffer keeps the offer of a remote peer and answers it as soon as it may be.
func (r *Room) onOffer(s Signal) {
	h := r.hosted[s.To]
	if h == nil {
		r.node.counters.drop("offer: for a peer that is gone")
		return
	}
	r.see(s.From, s.Type)
	p := h.pair(s.From)
	p.trace.offered = r.now()
	if !r.keeps(h, s.From) {
		// Its roster may be ahead of ours. Its sender makes no other for long, so it
		// waits for our next seal.
		r.hold(p, &s)
		return
	}
	p.dialAt = r.now().Add(dialAfterOffer)
	if a := p.attempt; a != nil && a.dialed && h.id > s.From {
		// Glare: the greater id stays the offerer.
		r.node.counters.drop("offer: glare, ours stands")
		return
	}
	p.offer, p.offerTime = &s, r.now()
	switch {
	case p.live != nil:
		// A peer that holds us linked would not offer, unless the offer was
		// under way when the link opened.
		r.probe(p)
		return
	case p.attempt != nil && (p.attempt.dialed || p.attempt.relay == s.Relay || p.attempt.author != s.Author):
		// It gave up the earlier offer, or is the offerer of a glare.
		r.abandon(p, errAbandoned)
	case p.attempt != nil:
		// The same page offers by several relays at once. One is answered;
		// this one is a reserve.
		a := p.attempt
		r.after(reserveTime, func() {
			if p.attempt == a && p.offer != nil {
				r.abandon(p, errAbandoned)
				r.advance(p)
			}
		})
		return
	}
	r.advance(p)
}

// advance answers the offer that waits, if nothing stands against it now.
func (r *Room) advance(p *pair) {
	if p.offer == nil || p.live != nil || p.attempt != nil || !r.current(p) {
		return
	}
	if !r.keeps(p.h, p.remote) {
		return
	}
	now := r.now()
	if now.Sub(p.offerTime) > offerLife {
		p.offer = nil
		r.node.counters.drop("offer: too old")
		return
	}
	if wait := p.notBefore.Sub(now); wait > 0 && p.offer.Author == p.author {
		r.retryIn(p, wait)
		return
	}
	if r.connect(p, p.offer) {
		p.offer = nil
	} else {
		r.retryIn(p, time.Second)
	}
}

// maybeDial makes an offer to a remote peer that announces itself but makes
// none, which peers like ours never do. Browsers are left to dial.
func (r *Room) maybeDial(p *pair) {
	if r.mesh.on && (!answersOnly(p.remote) || !r.keeps(p.h, p.remote)) {
		return // who uses cells offers, where a role wants it
	}
	now := r.now()
	if p.dialAt.IsZero() {
		p.dialAt = now
		if !answersOnly(p.remote) || p.h.id < p.remote {
			p.dialAt = now.Add(dialAfter)
		}
	}
	if now.Before(p.dialAt) || now.Before(p.notBefore) || p.toDial {
		return
	}
	if len(r.toDial) >= maxToDial {
		r.node.counters.drop("link: not dialled, too many wait")
		return
	}
	p.toDial = true
	r.toDial = append(r.toDial, p)
	r.dial()
}

// redial makes another offer after a delay, to a remote peer that did not take
// up our last one, or whose link with us, which we had dialled, is lost. It does
// so whether or not that peer is heard again, while it is in the roster.
func (r *Room) redial(p *pair) {
	now := r.now()
	p.dialAt = now
	if p.notBefore.After(now) {
		p.dialAt = p.notBefore
	}
	p.dialAt = p.dialAt.Add(p.delays.Next(r.node.jitter))
	r.after(p.dialAt.Sub(now), func() {
		rem := r.remotes[p.remote]
		if rem != nil && !rem.gone && r.current(p) && p.live == nil && p.attempt == nil && p.offer == nil {
			r.maybeDial(p)
		}
	})
}

// current tells whether a pair still is the one of its two peers.
func (r *Room) current(p *pair) bool {
	return r.hosted[p.h.id] == p.h && p.h.pairs[p.remote] == p && !r.closing
}

// dial makes the offers that are due, as many as may be under way. The others
// follow as links open or fail.
func (r *Room) dial() {
	for len(r.toDial) > 0 && r.node.mayDial() {
		p := r.toDial[0]
		r.toDial = r.toDial[1:]
		p.toDial = false
		if r.current(p) && p.live == nil && p.attempt == nil && p.offer == nil && !r.connect(p, nil) {
			r.redial(p)
		}
	}
	if len(r.toDial) > 0 && !r.dialing {
		r.dialing = true // other rooms may have taken all
		r.after(time.Second, func() {
			r.dialing = false
			r.dial()
		})
	}
}

// connect begins a link: by answering the offer s, or without one by making
// our own. It reports false if there is no room for one now.
func (r *Room) connect(p *pair, s *Signal) bool {
	n, limits := r.node, r.node.limits.Load()
	switch {
	case n.links.Load() >= int64(limits.Links):
		n.counters.drop("link: put off, the process has too many")
		return false
	case n.handshakes.Load() >= int64(limits.Handshakes):
		n.counters.drop("link: put off, too many are opening")
		return false
	}
	n.links.Add(1)
	n.handshakes.Add(1)
	l := newLink(r, p)
	if s != nil {
		l.relay, l.author = s.Relay, s.Author
	} else {
		l.dialed = true
		n.dials.Add(1)
	}
	p.attempt = l
	p.trace.begin(s, r.now())
	r.tasks.Go(func() { r.describe(l, s) })
	wait := openTime
	if n.handshakes.Load() > int64(limits.Handshakes)/2 {
		// A flood of offers that never connect must not keep the others out
		// for long. Links mostly open in less than a second.
		wait = reserveTime
	}
	r.after(wait, func() {
		if p.attempt == l {
			n.counters.drop("link: did not open in time")
			r.abandon(p, errLate)
			r.attemptFailed(p, l)
		}
	})
	return true
}

// attemptFailed goes on after a link that did not open: with the offer that
// waits, or with another one of ours.
func (r *Room) attemptFailed(p *pair, l *link) {
	if l.dialed && p.offer == nil {
		r.redial(p)
	}
	r.advance(p)
}

// describe makes the session description outside the actor, as it takes
// milliseconds, and sends it.
func (r *Room) describe(l *link, s *Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), sdpTime)
	defer cancel()
	var (
		t   Link
		sdp string
		err error
	)
	if s != nil {
		t, sdp, err = r.node.transport.Answer(ctx, s.SDP, l)
	} else {
		t, sdp, err = r.node.transport.Offer(ctx, l)
	}
	if err != nil {
		l.failed(err)
		return
	}
	if !l.attach(t) {
		return // closed meanwhile
	}
	r.post(func() {
		if l.pair.attempt != l {
			return
		}
		h := l.pair.h
		if s != nil {
			l.pair.trace.answered = r.now()
			r.signaling.Answer(s.Relay, h.id, l.pair.remote, h.typ, sdp)
		} else {
			r.signaling.Offer("", h.id, l.pair.remote, h.typ, sdp)
		}
	})
}

// onAnswer completes an offer of ours. Answers to none are stale.
func (r *Room) onAnswer(s Signal) {
	h := r.hosted[s.To]
	if h == nil {
		return
	}
	p := h.pairs[s.From]
	if p == nil || p.attempt == nil || !p.attempt.dialed || p.attempt.answered {
		r.node.counters.drop("answer: stale")
		return
	}
	r.see(s.From, s.Type)
	l := p.attempt
	l.answered, l.relay, l.author = true, s.Relay, s.Author
	p.trace.answered, p.trace.relay, p.trace.candidates = r.now(), s.Relay, candidateTypes(s.SDP)
	r.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), sdpTime)
		defer cancel()
		if err := l.accept(ctx, s.SDP); err != nil {
			r.node.counters.drop("answer: refused by the transport")
			l.close(err)
		}
	})
}

// abandon gives up the attempt of a pair.
func (r *Room) abandon(p *pair, why error) {
	l := p.attempt
	p.attempt = nil
	l.close(why)
}

// probe finds out whether a live link is: its remote peer made an offer. Alive,
// the offer meant nothing; dead, it is answered.
func (r *Room) probe(p *pair) {
	l := p.live
	if l.probing {
		return
	}
	l.probing = true
	since := r.now()
	l.ping()
	r.after(probeTime, func() {
		l.probing = false
		if p.live != l {
			return
		}
		if l.heardSince(since) {
			p.offer = nil
			r.node.counters.drop("offer: linked already")
			return
		}
		l.close(errEvicted)
	})
}

// linkOpened makes a link the pair's live one.
func (r *Room) linkOpened(l *link) {
	p := l.pair
	if p.attempt != l || r.closing {
		l.close(errAbandoned)
		return
	}
	p.attempt, p.live = nil, l
	p.offer, p.dialAt = nil, time.Time{}
	p.delays.Reset()
	p.author = l.author
	l.opened = r.now()
	p.trace.opened = l.opened
	r.node.counters.linksOpened.Add(1)
	r.node.counters.attempted(l, AttemptOpened)
	rem := r.see(p.remote, "")
	if rem.linked++; rem.linked == 1 {
		r.came(PeerJoin, Peer{rem.id, rem.typ})
	}
	join := peerEvent(PeerJoin, rem.id, rem.typ)
	for s := range p.h.seats {
		s.push(join)
	}
	r.log.Debug("link opened", "peer", p.remote, "hosted", p.h.id)
	r.sendWaiting(p)
	r.meet(rem)
	if streams := r.streamsOf(p.h); len(streams) > 0 {
		l.negotiate(func(n *negotiation) { n.send(streams) })
	}
	if r.syncs != nil {
		r.syncs.linked(l)
	}
	r.dial()
}

// linkClosed clears up after a link, and after what it leaves: messages that
// did not go out. It is called once for every link, whatever has replaced it by
// then.
func (r *Room) linkClosed(l *link, err error, left []*outgoing) {
	p := l.pair
	if r.syncs != nil {
		r.syncs.unlinked(l)
	}
	if l.opened.IsZero() {
		r.node.counters.attempted(l, outcome(err))
	}
	if p.attempt == nil || p.attempt == l { // else another try is under way
		p.trace.end(l, err, r.now())
	}
	switch l {
	case p.attempt:
		p.attempt = nil
		r.attemptFailed(p, l)
	case p.live:
		r.unlinked(p)
		r.replaceBridge(p.h, p.remote)
		if l.left.Load() {
			p.notBefore = time.Time{} // the page itself is gone
		}
		if r.mesh.on && err != errNoRole && !r.keeps(p.h, p.remote) {
			// It has closed what has no place in the cells, and nothing is left of it.
			p.notBefore = time.Time{}
		}
		r.log.Debug("link closed", "peer", p.remote, "hosted", p.h.id, "reason", err)
		r.expect(p, l, left)
		if l.dialed && !l.left.Load() {
			r.redial(p)
		}
		r.advance(p)
	default:
		for _, m := range left {
			m.failed(p.remote, ErrPeerGone)
		}
	}
	r.dial()
}

// unlinked takes the live link from a pair and tells the seats.
func (r *Room) unlinked(p *pair) {
	p.live = nil
	p.notBefore = r.now().Add(holdOff)
	r.node.counters.linksClosed.Add(1)
	if rem := r.remotes[p.remote]; rem != nil {
		if rem.linked--; rem.linked == 0 {
			r.came(PeerLeave, Peer{rem.id, rem.typ})
		}
		rem.seen = r.now()
		leave := peerEvent(PeerLeave, rem.id, rem.typ)
		for s := range p.h.seats {
			s.push(leave)
		}
		if rem.gone && rem.linked == 0 {
			r.forget(rem)
		}
	}
}
