package engine

// waiting is what was sent to a remote peer since its link ended without
// farewell, for the next link. It is bounded in bytes by Limits.LinkPending
// (what does not fit is refused with ErrPeerSlow; only what the link itself
// left is let in whatever its size) and in time by waitTime, counted from the
// end of the link: then all is given up with ErrPeerGone. It belongs to the
// room's actor.
type waiting struct {
	queue []*outgoing
	bytes int
	total *int   // of all in the room
	stop  func() // of the timer; nil until linkClosed has set it
}

func (r *Room) newWaiting() *waiting { return &waiting{total: &r.waitingBytes} }

func (w *waiting) push(m *outgoing) {
	w.queue = append(w.queue, m)
	w.bytes += m.cost()
	*w.total += m.cost()
}

// end empties it.
func (w *waiting) end() []*outgoing {
	if w.stop != nil {
		w.stop()
	}
	queue := w.queue
	*w.total -= w.bytes
	w.queue, w.bytes = nil, 0
	return queue
}

// known tells whether a pair takes messages: its link is live, or expected back.
func (p *pair) known() bool { return p.live != nil || p.waiting != nil }

// sendToPair passes a message on to a remote peer that is known, or queues it
// for the next link.
func (r *Room) sendToPair(s *Seat, p *pair, o *Outgoing, frames [][]byte, d *delivery) {
	d.begin()
	err := ErrTooLarge
	if frames != nil {
		m := &outgoing{channel: o.Channel, frames: frames, seat: s, ref: o.Ref, progress: o.Progress, delivery: d, redeliver: r.redeliver[o.Channel]}
		err = ErrPeerGone
		if p.live != nil {
			err = p.live.out.put(o.Channel, m)
		}
		if err == ErrPeerGone {
			// The link is down, or its end is on its way here.
			err = r.wait(p, m)
		}
	}
	if err != nil {
		d.failed()
		s.push(Result{o.Ref, p.remote, err})
	}
}

// wait queues a message for the next link.
func (r *Room) wait(p *pair, m *outgoing) error {
	if p.waiting == nil {
		p.waiting = r.newWaiting()
	}
	w := p.waiting
	if w.bytes > 0 && w.bytes+m.cost() > r.node.limits.Load().LinkPending {
		return ErrPeerSlow
	}
	w.push(m)
	return nil
}

// expect keeps what a link left for the next one, unless the remote peer is
// gone for good.
func (r *Room) expect(p *pair, l *link, left []*outgoing) {
	later := p.waiting // sent since the link ended
	p.waiting = r.newWaiting()
	for _, m := range left {
		p.waiting.push(m)
	}
	if later != nil {
		for _, m := range later.end() {
			p.waiting.push(m)
		}
	}
	if rem := r.remotes[p.remote]; l.left.Load() || rem == nil || rem.gone || !r.current(p) || !r.keeps(p.h, p.remote) {
		p.giveUp()
		return
	}
	w := p.waiting
	w.stop = r.after(waitTime, func() {
		if p.waiting == w {
			p.giveUp()
		}
	})
}

// sendWaiting puts what waits into the outbox of the link that has opened.
func (r *Room) sendWaiting(p *pair) {
	w := p.waiting
	if w == nil {
		return
	}
	p.waiting = nil
	p.live.out.refill(w.end())
}

// giveUp tells the senders of what waits that the peer is gone.
func (p *pair) giveUp() {
	w := p.waiting
	if w == nil {
		return
	}
	p.waiting = nil
	for _, m := range w.end() {
		m.failed(p.remote, ErrPeerGone)
	}
}
