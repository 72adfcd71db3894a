package engine

import (
	"bytes"
	"slices"
)

// transfer is one that is under way. It belongs to the room's actor.
type transfer struct {
	room *Room
	key  transferKey
	from *Seat
	what TransferBegin // the sender's question

	recipients map[string]*recipient // seats that have not finished, by id
	unanswered int                   // of them, never yet
	links      *assembly             // for the peers behind links; nil: there are none

	asked  bool   // the sender has, on its present attachment
	open   bool   // all recipients have answered once: chunks are taken
	next   uint64 // where its next chunk must begin
	stale  bool   // it was told where to go on: other chunks are from before
	floor  uint64 // what all recipients have
	low    int    // recipients that have no more than floor
	told   uint64 // floor as the sender knows it
	hash   string // of the sender's end, "" before
	chunks []uint64
	// chunks are the ends of those under way, so that many small ones cannot
	// make a window large.

	reached bool // a recipient has all of it
	over    bool
}

// beginTransfer takes a sender's question: a new transfer, or one that goes on
// after its sender resumed.
func (r *Room) beginTransfer(s *Seat, b *TransferBegin) error {
	switch {
	case b.ID == 0 || b.ID > transferMaxNum:
		return badTransfer("transfer must be from 1 to %d", uint64(transferMaxNum))
	case !ValidChannel(b.Channel):
		return ErrChannelName
	case b.Size > transferMaxNum:
		return badTransfer("size is greater than %d", uint64(transferMaxNum))
	case b.Offset > b.Size:
		return badOffset("%d of %d bytes", b.Offset, b.Size)
	case len(b.To) > MaxRecipients:
		return ErrTooMany
	case len(b.Meta) > MaxTransferMeta:
		return ErrTooLarge
	}
	if t := s.transfers.sending[b.ID]; t != nil {
		return t.again(b)
	}
	if err := r.rule(b.Channel).checkTransfer(s.sender(), r.now(), b); err != nil {
		r.node.counters.broken(err)
		return err
	}
	if len(s.transfers.sending) >= maxTransfers {
		r.node.counters.drop("transfer: too many of one sender")
		s.push(&TransferCancel{ID: b.ID, Reason: CancelTooMany})
		return nil
	}
	t := &transfer{
		room: r, key: transferKey{s.id, b.ID}, from: s, what: *b,
		asked: true, recipients: make(map[string]*recipient), floor: b.Offset, told: b.Offset,
	}
	if s.transfers.sending == nil {
		s.transfers.sending = make(map[uint64]*transfer)
	}
	s.transfers.sending[b.ID] = t
	if r.transfers == nil {
		r.transfers = make(map[*transfer]struct{})
	}
	r.transfers[t] = struct{}{}
	r.node.counters.transfersBegun.Add(1)
	t.address()
	t.low = len(t.recipients)
	t.unanswered = t.low
	for _, p := range t.recipients {
		p.ask()
	}
	t.settle()
	return nil
}

// again answers the question of a sender that came back. What was on its way
// when its connection was lost is lost; what came is counted.
func (t *transfer) again(b *TransferBegin) error {
	a := &t.what
	if a.Channel != b.Channel || a.Kind != b.Kind || a.Size != b.Size || !bytes.Equal(a.Meta, b.Meta) ||
		(a.To == nil) != (b.To == nil) || !slices.Equal(a.To, b.To) {
		return badTransfer("it was begun with other fields")
	}
	t.asked = true
	if t.open {
		t.stale = false
		t.answer()
		// The last ack may be lost, and no further one due.
		t.told = t.floor
		t.from.push(&TransferAck{ID: t.key.id, Offset: t.floor})
	}
	return nil
}

// address finds out who is to have the payload.
func (t *transfer) address() {
	r, s := t.room, t.from
	if t.what.To == nil {
		for _, other := range r.seats {
			if other != s && other.mayHear(t.what.Channel) {
				t.addSeat(other)
			}
		}
		for id, p := range s.hosted.pairs {
			if p.live != nil && t.what.Channel != ChannelMesh {
				t.addLink(id)
			}
		}
		t.addFar()
		return
	}
	done := make(map[string]struct{}, len(t.what.To))
	for _, to := range t.what.To {
		if _, twice := done[to]; twice {
			continue
		}
		done[to] = struct{}{}
		if other := r.seats[to]; other != nil && other != s {
			if other.mayHear(t.what.Channel) {
				t.addSeat(other)
			} else {
				t.result(to, ErrNotHeard, "")
			}
		} else if t.what.Channel == ChannelMesh && r.remotes[to] != nil {
			t.result(to, ErrNotHeard, "")
		} else if p := s.hosted.pairs[to]; p != nil && p.live != nil {
			t.addLink(to)
		} else if r.inMesh(to) {
			t.result(to, ErrOtherCell, "")
		} else if to == r.server.id {
			t.result(to, ErrRefused, "the server itself takes no transfers")
		} else {
			t.result(to, ErrUnknownPeer, "")
		}
	}
}

// result tells the sender that a recipient will not have it.
func (t *transfer) result(peer string, err error, text string) {
	t.room.node.counters.drop("transfer: " + transferReason(err))
	t.from.push(TransferResult{ID: t.key.id, Peer: peer, Err: err, Text: text})
}

func transferReason(err error) string {
	switch err {
	case ErrTooLarge:
		return "too large for a link"
	case ErrUnknownPeer:
		return "unknown peer"
	case ErrPeerGone:
		return "recipient gone"
	case ErrPeerSlow:
		return "recipient slow"
	case ErrBusy:
		return "recipient busy"
	case ErrCorrupt:
		return "corrupt"
	case ErrOtherCell:
		return "recipient in another cell"
	case ErrNotHeard:
		return "not for the recipient"
	}
	return "refused by recipient"
}

// settle draws the consequences of a change among the recipients.
func (t *transfer) settle() {
	switch {
	case t.over:
	case len(t.recipients) == 0 && t.links == nil:
		t.finish()
	case !t.open && t.unanswered == 0:
		t.open = true
		t.next = t.what.Size
		for _, p := range t.recipients {
			t.next = min(t.next, p.sent)
		}
		if t.links != nil {
			t.next = 0
		}
		t.refloor()
		t.answer()
		fallthrough
	default:
		t.tell()
	}
}

// answer tells the sender where to go on. One that came back has to ask first:
// it would take what is due to its old attachment for the answer to that.
func (t *transfer) answer() {
	if t.asked {
		t.from.push(&TransferBegin{ID: t.key.id, Offset: t.next})
	}
}

// goBack has the sender send again from offset on.
func (t *transfer) goBack(offset uint64) {
	t.next, t.stale = offset, true
	for len(t.chunks) > 0 && t.chunks[len(t.chunks)-1] > offset {
		t.chunks = t.chunks[:len(t.chunks)-1]
	}
	t.answer()
}

// chunk passes a chunk on. One that does not fit is refused, and the sender is
// told where to go on, so that those behind it on their way are no faults too.
func (t *transfer) chunk(c *TransferChunk) error {
	n := uint64(len(c.Data))
	switch {
	case !t.open:
		return badTransfer("chunk before begin was answered")
	case t.stale && c.Offset != t.next:
		t.room.node.counters.transferBytesAgain.Add(n)
		return nil
	}
	if err := t.fits(c); err != nil {
		t.goBack(t.next)
		return err
	}
	t.room.node.counters.transferBytes.Add(n)
	t.room.traffic.transferBytes.Add(n)
	c.From = t.key.from
	t.next, t.stale = c.Offset+n, false
	t.chunks = append(t.chunks, t.next)
	for _, p := range t.recipients {
		p.send(c)
	}
	if t.links != nil {
		t.assemble(c)
	}
	if len(t.recipients) == 0 {
		t.refloor()
	}
	t.sendEnds()
	t.settle()
	return nil
}

// fits tells whether a chunk is the next one, and within its bounds.
func (t *transfer) fits(c *TransferChunk) error {
	n, window := uint64(len(c.Data)), uint64(t.room.Window())
	switch {
	case n == 0 || n > MaxChunk:
		return badTransfer("a chunk has 1 to %d bytes, not %d", MaxChunk, n)
	case c.Offset != t.next:
		return badOffset("chunk at %d, but %d is next", c.Offset, t.next)
	case n > t.what.Size-c.Offset:
		return badOffset("chunk of %d bytes at %d, beyond the size %d", n, c.Offset, t.what.Size)
	case c.Offset+n > t.floor+window:
		return badOffset("chunk of %d bytes at %d, beyond the window of %d after %d", n, c.Offset, window, t.floor)
	case len(t.chunks) >= maxUnderWay:
		return ErrTooMany
	}
	return nil
}

// end takes the sender's end.
func (t *transfer) end(hash string) error {
	switch {
	case !isHash(hash):
		return badTransfer("end needs the payload's SHA-256 in lower-case hex as hash")
	case t.hash != "" && t.hash != hash:
		return badTransfer("end came before with another hash")
	case t.hash != "" || t.stale && t.next < t.what.Size:
		return nil // it came before, or is from before the going back
	case !t.open || t.next < t.what.Size:
		return badOffset("end at %d of %d bytes", t.next, t.what.Size)
	}
	t.hash = hash
	t.sendEnds()
	t.settle()
	return nil
}

func isHash(s string) bool {
	for _, c := range s {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return len(s) == 64
}

// sendEnds passes the end on to those who were sent everything before it.
func (t *transfer) sendEnds() {
	if t.hash == "" || t.next < t.what.Size {
		return
	}
	for _, p := range t.recipients {
		p.sendEnd()
	}
	t.encodeForLinks()
}

// refloor finds anew what all recipients have.
func (t *transfer) refloor() {
	if len(t.recipients) == 0 {
		t.floor, t.low = t.next, 0
		return
	}
	t.floor, t.low = t.what.Size, 0
	for _, p := range t.recipients {
		if p.acked < t.floor {
			t.floor, t.low = p.acked, 0
		}
		if p.acked == t.floor {
			t.low++
		}
	}
}

// tell acknowledges to the sender, seldom enough to cost little and often
// enough to keep its window open.
func (t *transfer) tell() {
	for len(t.chunks) > 0 && t.chunks[0] <= t.floor {
		t.chunks = t.chunks[1:]
	}
	if t.open && t.floor > t.told && (t.floor == t.next || t.floor-t.told >= uint64(t.room.Window()/ackSteps)) {
		t.told = t.floor
		t.from.push(&TransferAck{ID: t.key.id, Offset: t.floor})
	}
}

// finish ends a transfer that nobody is left for.
func (t *transfer) finish() {
	t.forget()
	if t.reached {
		t.room.node.counters.transfersEnded.Add(1)
		t.from.push(&TransferEnd{ID: t.key.id})
		return
	}
	t.room.node.counters.transfersCancelled.Add(1)
	t.from.push(&TransferCancel{ID: t.key.id, Reason: CancelNobody})
}

// cancel ends it for all, by the sender's will.
func (t *transfer) cancel(reason string) {
	t.room.node.counters.transfersCancelled.Add(1)
	t.forget()
	for _, p := range t.recipients {
		p.forget()
		p.seat.push(&TransferCancel{ID: t.key.id, From: t.key.from, Reason: reason})
	}
	t.releaseLinks()
}

func (t *transfer) forget() {
	t.over = true
	delete(t.room.transfers, t)
	delete(t.from.transfers.sending, t.key.id)
	t.from.transfers.over.add(t.key)
}

// Window is the number of bytes of a transfer that a sender may be ahead of
// what was acknowledged to it.
func (r *Room) Window() int { return r.node.limits.Load().Window }
