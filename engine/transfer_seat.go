package engine

import (
	"slices"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

// transferKey names a transfer for everybody in the room.
type transferKey struct {
	from string // the sender's seat
	id   uint64
}

// seatTransfers are a seat's part in transfers. They belong to the room's
// actor.
type seatTransfers struct {
	sending map[uint64]*transfer
	taking  map[transferKey]*recipient
	over    overTransfers
}

// overTransfers are those that ended last, of which steps may still come.
type overTransfers struct {
	keys *lru.LRU[transferKey, struct{}]
}

func (o *overTransfers) add(key transferKey) {
	if o.keys == nil {
		o.keys = newLRU[transferKey, struct{}](maxOver, nil)
	}
	o.keys.Add(key, struct{}{})
}

func (o *overTransfers) contains(key transferKey) bool {
	return o.keys != nil && o.keys.Contains(key)
}

// transfersAway holds back what is for a seat that lost its attachment.
func (r *Room) transfersAway(s *Seat) {
	for _, t := range s.transfers.sending {
		t.asked = false
	}
	for _, p := range s.transfers.taking {
		p.taking = false
	}
}

// transfersBack asks a seat that has a new attachment where to go on.
func (r *Room) transfersBack(s *Seat) {
	r.transfersAway(s) // one attachment may have replaced the other
	for _, p := range s.transfers.taking {
		if s.mayHear(p.t.what.Channel) {
			p.ask()
		} else {
			s.push(&TransferCancel{ID: p.t.key.id, From: p.t.key.from, Reason: CancelForbidden})
			p.fail(ErrNotHeard, "")
		}
	}
}

// transfersLeft ends the part of a seat that left in all transfers.
func (r *Room) transfersLeft(s *Seat) {
	for _, t := range s.transfers.sending {
		t.cancel(CancelGone)
	}
	for _, p := range s.transfers.taking {
		p.fail(ErrPeerGone, "")
	}
}

// lastingTransfer tells whether a seat is to hear of an event of transfers that
// comes while it has no attachment: the ends of its own, and the cancelling of
// others'. It begins again all that go on, or is asked.
func lastingTransfer(e Event) bool {
	switch e := e.(type) {
	case TransferResult, *TransferCancel:
		return true
	case *TransferEnd:
		return e.From == ""
	case TransferProgress:
		return e.Fraction == 1
	}
	return false
}

// bulk is a TransferChunk, or the TransferEnd that follows it.
type bulk interface {
	Event
	of() transferKey
	size() int
}

func (c *TransferChunk) of() transferKey { return transferKey{c.From, c.ID} }
func (c *TransferChunk) size() int       { return len(c.Data) }
func (e *TransferEnd) of() transferKey   { return transferKey{e.From, e.ID} }
func (e *TransferEnd) size() int         { return 0 }

// bulkQueue are the chunks that wait for a seat, beside its other events, which
// overtake them. Its bound is that of each transfer's window, which the room
// keeps, times maxIncoming. It is used under the seat's lock.
type bulkQueue struct{ waiting []bulk }

// take appends what may be written before messages get their turn again:
// about one full chunk.
func (q *bulkQueue) take(buf []Event) []Event {
	n, size := 0, 0
	for n < len(q.waiting) && size < MaxChunk {
		size += q.waiting[n].size()
		if n > 0 && size > MaxChunk {
			break
		}
		buf = append(buf, q.waiting[n])
		q.waiting[n] = nil
		n++
	}
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return buf
}

// pushBulk queues a chunk or an end. Without an attachment it is of no use: the
// next one is asked anew where to go on.
func (s *Seat) pushBulk(b bulk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.attached; a != nil && a.err == nil {
		a.bulk.waiting = append(a.bulk.waiting, b)
		a.signal()
	}
}

// dropChunksOf throws a transfer's waiting chunks away.
func (s *Seat) dropChunksOf(key transferKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.attached; a != nil {
		a.bulk.waiting = slices.DeleteFunc(a.bulk.waiting, func(b bulk) bool { return b.of() == key })
	}
}
