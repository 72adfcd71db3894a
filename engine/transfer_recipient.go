package engine

import "time"

// slowTransfer is how long a recipient may keep the others of a transfer
// waiting. The watchdog looks every watchEvery.
const slowTransfer = 30 * time.Second

// recipient is a seat that a transfer is for, until it has all or was given up.
// It belongs to the room's actor.
type recipient struct {
	t    *transfer
	seat *Seat

	asked    bool // a question has no answer yet
	answered bool // once
	taking   bool // it has answered the last question: chunks go to it
	sent     uint64
	acked    uint64
	shown    uint64 // acked, as the sender's progress said last
	ending   bool   // it was sent the end
	// since is when it last made progress, or was given the first thing to do.
	since time.Time
}

func (t *transfer) addSeat(s *Seat) {
	if len(s.transfers.taking) >= maxIncoming {
		t.result(s.id, ErrBusy, "")
		return
	}
	p := &recipient{t: t, seat: s, acked: t.what.Offset, shown: t.what.Offset, since: t.room.now()}
	t.recipients[s.id] = p
	if s.transfers.taking == nil {
		s.transfers.taking = make(map[transferKey]*recipient)
	}
	s.transfers.taking[t.key] = p
}

// ask asks the recipient where to go on; one that is away when it is back.
func (p *recipient) ask() {
	p.taking, p.ending = false, false
	if p.seat.attached == nil {
		return
	}
	p.asked = true
	q := p.t.what
	q.From, q.To, q.Offset = p.t.key.from, nil, p.acked
	p.seat.push(&q)
}

// answer takes the recipient's answer.
func (p *recipient) answer(offset uint64) error {
	t := p.t
	switch {
	case !p.asked:
		return badTransfer("begin without a question")
	case offset > t.what.Size:
		return badOffset("%d of %d bytes", offset, t.what.Size)
	}
	p.asked = false
	if offset < p.acked {
		p.seat.push(&TransferCancel{ID: t.key.id, From: t.key.from, Reason: CancelLost})
		p.fail(ErrRefused, "it has less than it had acknowledged")
		return nil
	}
	p.taking, p.sent = true, offset
	p.raise(offset)
	if !p.answered {
		p.answered = true
		t.unanswered--
	} else if t.open && offset < t.next {
		t.goBack(offset)
	}
	t.settle()
	t.sendEnds()
	return nil
}

// send passes on the part of a chunk that the recipient waits for.
func (p *recipient) send(c *TransferChunk) {
	end := c.Offset + uint64(len(c.Data))
	if !p.taking || p.sent < c.Offset || p.sent >= end {
		return
	}
	if p.acked == p.sent {
		p.since = p.t.room.now()
	}
	if skip := p.sent - c.Offset; skip > 0 {
		c = &TransferChunk{ID: c.ID, From: c.From, Offset: p.sent, Data: c.Data[skip:]}
	}
	p.sent = end
	p.seat.pushBulk(c)
}

func (p *recipient) sendEnd() {
	if p.taking && !p.ending && p.sent == p.t.what.Size {
		p.ending = true
		p.seat.pushBulk(&TransferEnd{ID: p.t.key.id, From: p.t.key.from, Hash: p.t.hash})
	}
}

// acknowledge takes what the recipient has stored.
func (p *recipient) acknowledge(offset uint64) error {
	if offset > max(p.sent, p.acked) {
		return badOffset("ack of %d, but %d was sent", offset, p.sent)
	}
	p.raise(offset)
	p.t.tell()
	return nil
}

// raise notes what the recipient has, and lets the sender see it.
func (p *recipient) raise(acked uint64) {
	t := p.t
	if acked <= p.acked {
		return
	}
	old := p.acked
	p.acked, p.since = acked, t.room.now()
	if old == t.floor {
		if t.low--; t.low == 0 {
			t.refloor()
		}
	}
	if acked < t.what.Size && acked-p.shown >= max(uint64(t.room.Window()/ackSteps), t.what.Size/progressSteps) {
		p.shown = acked
		t.from.push(TransferProgress{t.key.id, p.seat.id, float64(acked) / float64(t.what.Size)})
	}
}

// end takes the recipient's word that it has all and that the hash is right.
func (p *recipient) end() error {
	if !p.ending && !p.asked {
		return badTransfer("end before the sender's")
	}
	p.t.reached = true
	p.t.from.push(TransferProgress{p.t.key.id, p.seat.id, 1})
	p.remove()
	return nil
}

// refuse takes the recipient's cancel.
func (p *recipient) refuse(reason string) error {
	err := ErrRefused
	if reason == "corrupt" {
		err = ErrCorrupt
	}
	p.fail(err, reason)
	return nil
}

// fail gives the recipient up, and tells the sender.
func (p *recipient) fail(err error, text string) {
	p.t.result(p.seat.id, err, text)
	p.remove()
}

func (p *recipient) remove() {
	t := p.t
	p.forget()
	delete(t.recipients, p.seat.id)
	if !p.answered {
		t.unanswered--
	}
	if p.acked == t.floor {
		if t.low--; t.low <= 0 {
			t.refloor()
		}
	}
	t.settle()
}

func (p *recipient) forget() {
	delete(p.seat.transfers.taking, p.t.key)
	p.seat.transfers.over.add(p.t.key)
	p.seat.dropChunksOf(p.t.key)
}

// watchTransfers cuts recipients off that keep others waiting, at the
// watchdog's pace. Who is the only one may take as long as its session lives.
func (r *Room) watchTransfers(now time.Time) {
	for t := range r.transfers {
		var best uint64 // what the quickest has
		answered := t.links != nil
		if t.links != nil {
			best = t.next
		}
		for _, p := range t.recipients {
			best = max(best, p.acked)
			answered = answered || p.answered
		}
		for _, p := range t.recipients {
			idle := p.taking && p.acked == p.sent // the sender's turn
			holds := p.acked < best || !p.answered && answered
			if holds && !idle && now.Sub(p.since) >= slowTransfer {
				p.seat.push(&TransferCancel{ID: t.key.id, From: t.key.from, Reason: CancelSlow})
				p.fail(ErrPeerSlow, "")
			}
		}
	}
}
