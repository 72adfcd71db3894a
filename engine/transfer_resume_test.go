package engine_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

var lasting = engine.SeatConfig{Resume: 2 * time.Minute}

// again resumes a client's seat, with the events that come from then on.
func (c *client) again(room *engine.Room) *client {
	c.t.Helper()
	a, peers, err := room.Resume(c.t.Context(), c.Token(), 0, lasting)
	if err != nil {
		c.t.Fatal(err)
	}
	next := attached(c.t, a, peers)
	synctest.Wait()
	return next
}

// A recipient that comes back is asked what it has; the sender goes back there,
// and nobody gets anything twice.
func TestTransferGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room, _ := transferRoom(t, net, engine.Limits{}, 0)
		from, a, b := join(t, room, lasting), join(t, room, lasting), join(t, room, lasting)
		data := payload(210_000)
		from.must(begin(1, 210_000, a.ID(), b.ID()))
		a.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		b.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		from.feed(1, data, 0, 60_000)
		a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 20_000})
		b.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 60_000})

		a.Detach()
		synctest.Wait()
		old := a
		from.feed(1, data, 60_000, 210_000)
		if err := old.step(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 60_000}); err == nil {
			t.Error("a step of an attachment that has ended was taken")
		}
		a = a.again(room)
		if e, n := latest[*engine.TransferBegin](a); n != 1 || e.Offset != 20_000 || e.Size != 210_000 || e.From != from.ID() {
			t.Fatalf("asked %d times, %+v", n, e)
		}
		if _, n := latest[*engine.TransferChunk](a); n != 0 {
			t.Fatalf("%d chunks before it has answered", n)
		}
		a.must(&engine.TransferBegin{ID: 1, From: from.ID(), Offset: 30_000})
		if e, n := latest[*engine.TransferBegin](from); n != 2 || e.Offset != 30_000 {
			t.Fatalf("the sender heard %d answers, %+v", n, e)
		}
		// What is on its way is no fault, and of no use.
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
		if _, n := latest[*engine.TransferEnd](b); n != 0 {
			t.Error("the end overtook what is to be sent again")
		}
		from.must(&engine.TransferChunk{ID: 1, Offset: 60_000, Data: data[60_000:70_000]})
		if got := n.Stats().TransferBytesAgain; got != 10_000 {
			t.Errorf("%d bytes were of no use", got)
		}
		before := len(of[*engine.TransferChunk](b))
		from.feed(1, data, 30_000, 210_000)
		if err := from.step(&engine.TransferChunk{ID: 1, Offset: 30_000, Data: data[:10]}); !errors.Is(err, engine.ErrBadOffset) {
			t.Errorf("back once more: %v", err)
		}
		if got := append(bytes.Clone(data[:30_000]), a.from(30_000)...); !bytes.Equal(got, data) {
			t.Errorf("a has %d bytes", len(got))
		}
		if got := len(of[*engine.TransferChunk](b)); got != before {
			t.Errorf("b got %d chunks twice", got-before)
		}
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
		// A recipient that is lost at the very end.
		a.Detach()
		b.must(&engine.TransferEnd{ID: 1, From: from.ID()})
		a = a.again(room)
		a.must(&engine.TransferBegin{ID: 1, From: from.ID(), Offset: 210_000})
		if _, n := latest[*engine.TransferEnd](a); n != 1 {
			t.Fatalf("%d ends", n)
		}
		a.Detach()
		a = a.again(room)
		a.must(&engine.TransferEnd{ID: 1, From: from.ID()})
		if _, n := latest[*engine.TransferEnd](from); n != 1 {
			t.Errorf("%d ends", n)
		}
	})
}

// from puts together what chunks brought, from an offset on.
func (c *client) from(offset uint64) (data []byte) {
	for _, e := range of[*engine.TransferChunk](c) {
		if e.Offset == offset+uint64(len(data)) {
			data = append(data, e.Data...)
		}
	}
	return data
}

// A sender that comes back asks, and is told what arrived; what ended meanwhile
// it hears in any case.
func TestTransferSenderComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room, _ := transferRoom(t, net, engine.Limits{}, 0)
		from, a := join(t, room, lasting), join(t, room, lasting)
		data := payload(150_000)
		from.must(begin(1, 150_000, a.ID()))
		from.must(begin(2, 0, a.ID()))
		from.must(begin(3, 10, a.ID()))
		a.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		from.feed(1, data, 0, 100_000)
		from.Detach()
		synctest.Wait()
		a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 100_000})
		a.must(&engine.TransferCancel{ID: 2, From: from.ID(), Reason: "no"})
		a.must(&engine.TransferBegin{ID: 3, From: from.ID()}) // of which the sender need not hear
		settle(time.Minute)

		from = from.again(room)
		if e, n := latest[*engine.TransferCancel](from); n != 1 || e.ID != 2 {
			t.Errorf("%d cancels, %+v", n, e)
		}
		if e, n := latest[engine.TransferResult](from); n != 1 || e.ID != 2 || e.Err != engine.ErrRefused {
			t.Errorf("%d results, %+v", n, e)
		}
		if e, n := latest[*engine.TransferBegin](from); n != 0 {
			t.Errorf("answered %+v without a question", e)
		}
		q := begin(1, 150_000, a.ID())
		q.Offset = 60_000
		from.must(q)
		if e, n := latest[*engine.TransferBegin](from); n != 1 || e.Offset != 100_000 {
			t.Errorf("%d answers, %+v", n, e)
		}
		if e, n := latest[*engine.TransferAck](from); n != 1 || e.Offset != 100_000 {
			t.Errorf("%d acks, %+v", n, e)
		}
		from.feed(1, data, 100_000, 150_000)
		if got := a.stored(from.ID(), 1); !bytes.Equal(got, data) {
			t.Errorf("%d bytes arrived", len(got))
		}
		// A recipient hears of the end also when it was away.
		a.Detach()
		synctest.Wait()
		from.must(&engine.TransferCancel{ID: 1, Reason: "never mind"})
		a = a.again(room)
		if e, n := latest[*engine.TransferCancel](a); n != 1 || *e != (engine.TransferCancel{ID: 1, From: from.ID(), Reason: "never mind"}) {
			t.Errorf("%d cancels, %+v", n, e)
		}
		if e, n := latest[*engine.TransferBegin](a); n != 1 || e.ID != 3 {
			t.Errorf("asked %d times, %+v", n, e)
		}
		// The sender's session ends.
		from.Detach()
		settle(3 * time.Minute)
		if e, _ := latest[*engine.TransferCancel](a); e.ID != 3 || e.Reason != engine.CancelGone {
			t.Errorf("cancel %+v", e)
		}
	})
}
