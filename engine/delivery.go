package engine

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"
)

// delivery is what becomes of a seat's message at the links that it was given
// to. If the process is killed meanwhile, the next one tells the seat that the
// message may not have arrived: the journal has checkpoints of it.
type delivery struct {
	room  *Room
	seq   uint64
	keep  time.Duration // that the seat may not have heard of a failure
	links atomic.Int32  // that have neither passed it on nor failed
	until atomic.Int64  // Unix nanoseconds, if one has failed
}

// begin counts a link.
func (d *delivery) begin() {
	if d != nil {
		d.links.Add(1)
	}
}

// passed tells that a link has passed the message on. A nil delivery is one that
// nobody is to be told of.
func (d *delivery) passed() {
	if d != nil {
		d.links.Add(-1)
	}
}

// failed tells that a link has not, of which the seat is told.
func (d *delivery) failed() {
	if d != nil {
		d.until.Store(d.room.now().Add(d.keep).UnixNano())
		d.links.Add(-1)
	}
}

func (d *delivery) open(now time.Time) bool {
	return d.links.Load() > 0 || d.until.Load() > now.UnixNano()
}

// track begins to track a message that is given to links. It returns nil where
// no later process would have the seat.
func (r *Room) track(s *Seat, seq uint64) *delivery {
	if r.node.store == nil || seq == 0 || !s.resumable() {
		return nil
	}
	d := &delivery{room: r, seq: seq, keep: s.resume + confirmTime}
	r.deliveries, r.tracked = append(r.deliveries, d), true
	r.checkpointSoon()
	return d
}

// checkpointSoon has the next checkpoint be made in time.
func (r *Room) checkpointSoon() {
	if !r.checkpointing {
		r.checkpointing = true
		r.after(checkpointEvery, func() {
			r.checkpointing = false
			r.checkpoint()
		})
	}
}

// checkpoint writes down which messages are still on their way to links. They
// are bounded by what may wait for links.
func (r *Room) checkpoint() {
	now := r.now()
	r.deliveries = slices.DeleteFunc(r.deliveries, func(d *delivery) bool { return !d.open(now) })
	c := checkpoint{upto: r.head}
	for _, d := range r.deliveries {
		if len(c.open) == maxCheckpoint {
			c.upto = c.open[maxCheckpoint-1] // all that follow count as open
			break
		}
		c.open = append(c.open, d.seq)
	}
	if len(r.deliveries) > 0 {
		r.checkpointSoon()
	}
	if !r.tracked || r.journal == nil || c.upto == r.checked.upto && slices.Equal(c.open, r.checked.open) {
		return
	}
	last, err := r.journal.Append(c.append(nil))
	if err != nil {
		r.log.Error("the room's journal cannot be written", "error", err)
		r.failed()
		return
	}
	if c.upto == r.head {
		c.upto = last // the checkpoint itself is no message
	}
	r.head, r.checked, r.tracked = last, c, len(c.open) > 0
}

// checkpoint is the state of all messages up to a place in the journal: those
// that are on their way to links. It is encoded as the byte 2 and varints: upto,
// and each open one less the one before.
type checkpoint struct {
	upto uint64
	open []uint64 // rising
}

func (c *checkpoint) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, recordCheckpoint), c.upto)
	last := uint64(0)
	for _, seq := range c.open {
		b = binary.AppendUvarint(b, seq-last)
		last = seq
	}
	return b
}

func decodeCheckpoint(b []byte) (c checkpoint, err error) {
	r := recordReader{b: b}
	if r.byte() != recordCheckpoint {
		return c, errRecord
	}
	c.upto = r.uint()
	for last := uint64(0); len(r.b) > 0; {
		last += r.uint()
		c.open = append(c.open, last)
	}
	if r.failed {
		return c, errRecord
	}
	return c, nil
}

// unsettled are the messages to links that an earlier process had under way, as
// the journal tells from the oldest entry on.
type unsettled struct{ messages []unsettledMessage }

type unsettledMessage struct {
	seq, ref uint64
	seat     *Seat
}

func (u *unsettled) sent(seq, ref uint64, s *Seat) {
	u.messages = append(u.messages, unsettledMessage{seq, ref, s})
}

func (u *unsettled) settle(c checkpoint) {
	u.messages = slices.DeleteFunc(u.messages, func(m unsettledMessage) bool {
		_, open := slices.BinarySearch(c.open, m.seq)
		return m.seq <= c.upto && !open
	})
}

// report tells the seats. If this process ends before they have heard it, the
// next one tells them again.
func (u *unsettled) report(r *Room) {
	for _, m := range u.messages {
		m.seat.keep(Result{m.ref, "", ErrPeerGone}, neverHandedOut)
		d := &delivery{room: r, seq: m.seq, keep: m.seat.resume + confirmTime}
		d.links.Add(1)
		d.failed()
		r.deliveries, r.tracked = append(r.deliveries, d), true
	}
}
