package engine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

const testWindow = 200_000

// transferRoom is a room with seats that have joined.
func transferRoom(t *testing.T, net *memnet.Network, limits engine.Limits, seats int) (*engine.Node, *engine.Room, []*client) {
	limits.Window = testWindow
	n, room := serve(t, net, "server", engine.RoomConfig{}, limits)
	list := make([]*client, seats)
	for i := range list {
		list[i] = join(t, room, engine.SeatConfig{})
	}
	return n, room, list
}

// step has a client take a step, and lets everything follow from it.
func (c *client) step(s engine.TransferStep) error {
	c.t.Helper()
	err := c.Transfer(c.t.Context(), s)
	synctest.Wait()
	return err
}

// must is step without an error.
func (c *client) must(s engine.TransferStep) {
	c.t.Helper()
	if err := c.step(s); err != nil {
		c.t.Fatalf("%+v: %v", s, err)
	}
}

// latest is the client's last event of one type, and how many it has.
func latest[E engine.Event](c *client) (e E, n int) {
	list := of[E](c)
	if len(list) > 0 {
		e = list[len(list)-1]
	}
	return e, len(list)
}

func begin(id, size uint64, to ...string) *engine.TransferBegin {
	return &engine.TransferBegin{ID: id, Channel: "file", Kind: engine.Binary, Size: size, To: to}
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func payload(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ i>>8)
	}
	return data
}

// feed sends chunks of a payload, from offset to end.
func (c *client) feed(id uint64, data []byte, offset, end int) {
	c.t.Helper()
	for offset < end {
		n := min(offset+engine.MaxChunk, end)
		c.must(&engine.TransferChunk{ID: id, Offset: uint64(offset), Data: data[offset:n]})
		offset = n
	}
}

// stored are the bytes that chunks brought a client, each once and in order.
func (c *client) stored(from string, id uint64) []byte {
	var data []byte
	for _, e := range of[*engine.TransferChunk](c) {
		if e.From == from && e.ID == id && e.Offset == uint64(len(data)) {
			data = append(data, e.Data...)
		}
	}
	return data
}

func TestTransfer(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, _, c := transferRoom(t, net, engine.Limits{}, 3)
		from, a, b := c[0], c[1], c[2]
		data := payload(150_000)
		q := begin(7, uint64(len(data)))
		q.Meta = []byte(`{"name":"a.bin"}`)
		from.must(q)
		asked, _ := latest[*engine.TransferBegin](a)
		if asked == nil || asked.From != from.ID() || asked.ID != 7 || asked.Size != 150_000 || asked.Channel != "file" ||
			string(asked.Meta) != `{"name":"a.bin"}` || asked.To != nil || asked.Offset != 0 {
			t.Fatalf("the recipient was asked %+v", asked)
		}
		a.must(&engine.TransferBegin{ID: 7, From: from.ID()})
		if _, n := latest[*engine.TransferBegin](from); n != 0 {
			t.Fatal("the sender was answered before all recipients had")
		}
		b.must(&engine.TransferBegin{ID: 7, From: from.ID(), Offset: 1000}) // it has some of it
		if e, _ := latest[*engine.TransferBegin](from); e == nil || e.Offset != 0 || e.From != "" {
			t.Fatalf("the sender was answered %+v", e)
		}
		from.feed(7, data, 0, len(data))
		if got := a.stored(from.ID(), 7); !bytes.Equal(got, data) {
			t.Errorf("a has %d bytes", len(got))
		}
		if e := of[*engine.TransferChunk](b)[0]; e.Offset != 1000 || !bytes.Equal(e.Data, data[1000:engine.MaxChunk]) {
			t.Errorf("b's first chunk is %d bytes at %d", len(e.Data), e.Offset)
		}

		a.must(&engine.TransferAck{ID: 7, From: from.ID(), Offset: 150_000})
		if _, n := latest[*engine.TransferAck](from); n != 0 {
			t.Error("acknowledged what only one recipient has")
		}
		b.must(&engine.TransferAck{ID: 7, From: from.ID(), Offset: 75_000})
		if e, _ := latest[*engine.TransferAck](from); e == nil || e.Offset != 75_000 {
			t.Errorf("ack %+v", e)
		}
		if e, _ := latest[engine.TransferProgress](from); e != (engine.TransferProgress{ID: 7, Peer: b.ID(), Fraction: 0.5}) {
			t.Errorf("progress %+v", e)
		}
		b.must(&engine.TransferAck{ID: 7, From: from.ID(), Offset: 150_000})
		from.must(&engine.TransferEnd{ID: 7, Hash: hash(data)})
		for _, c := range []*client{a, b} {
			if e, _ := latest[*engine.TransferEnd](c); e == nil || *e != (engine.TransferEnd{ID: 7, From: from.ID(), Hash: hash(data)}) {
				t.Fatalf("the recipient's end: %+v", e)
			}
			if _, n := latest[*engine.TransferEnd](from); n != 0 {
				t.Error("the sender has its end before all recipients answered")
			}
			c.must(&engine.TransferEnd{ID: 7, From: from.ID()})
			if e, _ := latest[engine.TransferProgress](from); e != (engine.TransferProgress{ID: 7, Peer: c.ID(), Fraction: 1}) {
				t.Errorf("progress %+v", e)
			}
		}
		if e, _ := latest[*engine.TransferEnd](from); e == nil || *e != (engine.TransferEnd{ID: 7}) {
			t.Errorf("the sender's end: %+v", e)
		}
		s := n.Stats()
		if s.TransfersBegun != 1 || s.TransfersEnded != 1 || s.TransfersCancelled != 0 || s.TransferBytes != 150_000 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A step that cannot be taken costs nothing else: the transfer goes on.
func TestTransferRefusesSteps(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, _, c := transferRoom(t, net, engine.Limits{}, 3)
		from, a, b := c[0], c[1], c[2]
		data := payload(3 * testWindow)
		size := uint64(len(data))
		next := uint64(0) // of the sender's chunks
		no := func(c *client, want error, s engine.TransferStep) {
			t.Helper()
			_, before := latest[*engine.TransferBegin](c)
			if err := c.step(s); !errors.Is(err, want) {
				t.Errorf("%T: %v, want %v", s, err, want)
			}
			e, after := latest[*engine.TransferBegin](c)
			if _, chunk := s.(*engine.TransferChunk); chunk && after > 0 && after-before != 1 || after > before && e.Offset != next {
				t.Errorf("%T: told %d times to go on, %+v", s, after-before, e)
			}
			if after > before { // those that follow are of no use, and no fault
				if err := c.step(&engine.TransferChunk{ID: 1, Offset: next + 5, Data: []byte("x")}); err != nil {
					t.Errorf("the chunk after it: %v", err)
				}
				c.step(begin(1, size, a.ID())) // so that the test goes on
			}
		}
		question := func(f func(*engine.TransferBegin)) *engine.TransferBegin {
			q := begin(1, size, a.ID())
			f(q)
			return q
		}
		bad, offset := engine.ErrBadTransfer, engine.ErrBadOffset
		no(from, bad, question(func(q *engine.TransferBegin) { q.ID = 0 }))
		no(from, bad, question(func(q *engine.TransferBegin) { q.ID = 1 << 53 }))
		no(from, bad, question(func(q *engine.TransferBegin) { q.Size = 1 << 53 }))
		no(from, offset, question(func(q *engine.TransferBegin) { q.Offset = size + 1 }))
		no(from, engine.ErrChannelName, question(func(q *engine.TransferBegin) { q.Channel = "@_ping" }))
		no(from, engine.ErrTooMany, question(func(q *engine.TransferBegin) { q.To = make([]string, 1001) }))
		no(from, engine.ErrTooLarge, question(func(q *engine.TransferBegin) { q.Meta = make([]byte, engine.MaxTransferMeta+1) }))

		no(from, engine.ErrUnknownTransfer, &engine.TransferChunk{ID: 1, Data: data[:10]})
		no(from, engine.ErrUnknownTransfer, &engine.TransferEnd{ID: 1, Hash: hash(data)})
		no(from, engine.ErrUnknownTransfer, &engine.TransferCancel{ID: 1})
		no(a, engine.ErrUnknownTransfer, &engine.TransferAck{ID: 1, From: from.ID()})
		no(from, engine.ErrUnknownTransfer, &engine.TransferAck{ID: 1}) // no recipient has no From

		from.must(question(func(q *engine.TransferBegin) {}))
		no(from, bad, &engine.TransferChunk{ID: 1, Data: data[:10]}) // not answered yet
		no(from, offset, &engine.TransferEnd{ID: 1, Hash: hash(data)})
		no(b, engine.ErrUnknownTransfer, &engine.TransferBegin{ID: 1, From: from.ID()}) // not for b
		no(a, offset, &engine.TransferBegin{ID: 1, From: from.ID(), Offset: size + 1})
		a.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		no(a, bad, &engine.TransferBegin{ID: 1, From: from.ID()}) // asked once

		no(from, bad, &engine.TransferChunk{ID: 1})
		no(from, bad, &engine.TransferChunk{ID: 1, Data: data[:engine.MaxChunk+1]})
		no(from, offset, &engine.TransferChunk{ID: 1, Offset: 10, Data: data[:10]})
		from.feed(1, data, 0, testWindow)
		next = testWindow
		no(from, offset, &engine.TransferChunk{ID: 1, Offset: testWindow, Data: data[:1]}) // beyond the window
		no(from, offset, &engine.TransferChunk{ID: 1, Offset: 0, Data: data[:10]})
		no(a, offset, &engine.TransferAck{ID: 1, From: from.ID(), Offset: testWindow + 1})
		no(a, bad, &engine.TransferEnd{ID: 1, From: from.ID()}) // the sender has not
		for _, other := range []func(*engine.TransferBegin){
			func(q *engine.TransferBegin) { q.Size-- },
			func(q *engine.TransferBegin) { q.Kind = engine.Text },
			func(q *engine.TransferBegin) { q.Channel = "other" },
			func(q *engine.TransferBegin) { q.Meta = []byte("1") },
			func(q *engine.TransferBegin) { q.To = nil },
			func(q *engine.TransferBegin) { q.To = []string{b.ID()} },
		} {
			no(from, bad, question(other))
		}
		for end := testWindow; end < len(data); {
			a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: uint64(end)})
			from.feed(1, data, end, end+testWindow)
			end += testWindow
		}
		next = size
		no(from, offset, &engine.TransferChunk{ID: 1, Offset: size, Data: data[:1]}) // beyond the size
		no(from, bad, &engine.TransferEnd{ID: 1})
		no(from, bad, &engine.TransferEnd{ID: 1, Hash: strings.ToUpper(hash(data))})
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
		no(from, bad, &engine.TransferEnd{ID: 1, Hash: hash(nil)})
		if got := a.stored(from.ID(), 1); !bytes.Equal(got, data) {
			t.Errorf("the recipient has %d of %d bytes", len(got), len(data))
		}
		a.must(&engine.TransferEnd{ID: 1, From: from.ID()})
		if _, n := latest[*engine.TransferEnd](from); n != 1 {
			t.Errorf("%d ends", n)
		}
		// What was on its way at the end is no fault.
		from.must(&engine.TransferChunk{ID: 1, Data: data[:10]})
		a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 10})
		if err := from.step(&engine.TransferChunk{ID: 2, Data: data[:10]}); !errors.Is(err, engine.ErrUnknownTransfer) {
			t.Errorf("a chunk of nothing: %v", err)
		}
		if got := len(of[*engine.TransferBegin](b)) + len(of[*engine.TransferChunk](b)); got != 0 {
			t.Errorf("somebody else heard %d steps", got)
		}
	})
}

func TestTransferLimits(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, _, c := transferRoom(t, net, engine.Limits{}, 7)
		a := c[0]
		// 16 of one sender, 64 to one seat.
		for _, from := range c[1:6] {
			for id := range uint64(16) {
				from.must(begin(id+1, 10, a.ID()))
			}
		}
		if _, got := latest[*engine.TransferBegin](a); got != 64 {
			t.Errorf("the recipient was asked %d times, want 64", got)
		}
		if e, got := latest[engine.TransferResult](c[5]); got != 16 || e.Err != engine.ErrBusy || e.Peer != a.ID() {
			t.Errorf("%d results of the last sender, %+v", got, e)
		}
		if e, got := latest[*engine.TransferCancel](c[5]); got != 16 || e.Reason != engine.CancelNobody {
			t.Errorf("%d cancels, %+v", got, e)
		}
		c[1].must(begin(17, 10, a.ID()))
		if e, got := latest[*engine.TransferCancel](c[1]); got != 1 || *e != (engine.TransferCancel{ID: 17, Reason: engine.CancelTooMany}) {
			t.Errorf("%d cancels, %+v", got, e)
		}
		c[1].must(begin(1, 10, a.ID())) // one that is under way is not one more
		c[1].must(&engine.TransferCancel{ID: 1})
		c[1].must(begin(18, 10, c[2].ID()))
		if _, got := latest[*engine.TransferBegin](c[2]); got != 1 {
			t.Error("no new transfer after the end of one")
		}
		if s := n.Stats(); s.TransfersBegun != 81 || s.TransfersCancelled != 17 || s.Dropped["transfer: too many of one sender"] != 1 ||
			s.Dropped["transfer: recipient busy"] != 16 {
			t.Errorf("stats %+v", s)
		}

		// Many small chunks are not to cost more than few large ones.
		from := c[6]
		from.must(begin(1, 10_000, c[5].ID()))
		c[5].must(&engine.TransferBegin{ID: 1, From: from.ID()})
		for i := range uint64(1024) {
			from.must(&engine.TransferChunk{ID: 1, Offset: i, Data: []byte("x")})
		}
		if err := from.step(&engine.TransferChunk{ID: 1, Offset: 1024, Data: []byte("x")}); !errors.Is(err, engine.ErrTooMany) {
			t.Errorf("the 1025th chunk: %v", err)
		}
		c[5].must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 1})
		from.must(&engine.TransferChunk{ID: 1, Offset: 1024, Data: []byte("x")})
	})
}

// A recipient that keeps others waiting is cut off; the only one is not.
func TestTransferSlowRecipient(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, _, c := transferRoom(t, net, engine.Limits{}, 5)
		from, a, slow, mute, third := c[0], c[1], c[2], c[3], c[4]
		data := payload(150_000)
		from.must(begin(1, 150_000, a.ID(), slow.ID(), mute.ID()))
		a.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		slow.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		settle(29 * time.Second)
		if got := of[engine.TransferResult](from); len(got) != 0 {
			t.Fatalf("too early: %+v", got)
		}
		settle(7 * time.Second)
		if e, n := latest[engine.TransferResult](from); n != 1 || e.Err != engine.ErrPeerSlow || e.Peer != mute.ID() {
			t.Fatalf("%d results, %+v", n, e)
		}
		if e, _ := latest[*engine.TransferCancel](mute); e == nil || *e != (engine.TransferCancel{ID: 1, From: from.ID(), Reason: engine.CancelSlow}) {
			t.Errorf("the mute recipient got %+v", e)
		}
		// Nobody is slow while the sender is.
		settle(time.Minute)
		from.feed(1, data, 0, 60_000)
		settle(20 * time.Second)
		slow.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 1})
		a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 60_000})
		settle(29 * time.Second)
		if _, n := latest[engine.TransferResult](from); n != 1 {
			t.Fatal("cut off too early")
		}
		settle(7 * time.Second)
		if e, n := latest[engine.TransferResult](from); n != 2 || e.Err != engine.ErrPeerSlow || e.Peer != slow.ID() {
			t.Fatalf("%d results, %+v", n, e)
		}
		if e, _ := latest[*engine.TransferAck](from); e == nil || e.Offset != 60_000 {
			t.Errorf("ack %+v: the others must go on", e)
		}
		from.feed(1, data, 60_000, 150_000)
		settle(10 * time.Minute)
		a.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 150_000})
		if _, n := latest[engine.TransferResult](from); n != 2 {
			t.Error("the only recipient was cut off")
		}
		slow.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: 100}) // was on its way
		from.must(begin(2, 0, third.ID()))
		if _, n := latest[*engine.TransferBegin](third); n != 1 {
			t.Error("not asked")
		}
	})
}

func TestTransferEndsWithItsSeats(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, _, c := transferRoom(t, net, engine.Limits{}, 4)
		from, a, b, d := c[0], c[1], c[2], c[3]
		from.must(begin(1, 100, a.ID(), b.ID(), "nobody", serverID(from), d.ID()))
		if got := of[engine.TransferResult](from); len(got) != 2 || got[0].Err != engine.ErrUnknownPeer || got[1].Err != engine.ErrRefused {
			t.Errorf("results %+v", got)
		}
		a.must(&engine.TransferBegin{ID: 1, From: from.ID()})
		d.must(&engine.TransferCancel{ID: 1, From: from.ID(), Reason: "no disk"})
		if e, _ := latest[engine.TransferResult](from); e.Err != engine.ErrRefused || e.Text != "no disk" || e.Peer != d.ID() {
			t.Errorf("result %+v", e)
		}
		b.Leave()
		synctest.Wait()
		if e, _ := latest[engine.TransferResult](from); e.Err != engine.ErrPeerGone || e.Peer != b.ID() {
			t.Errorf("result %+v", e)
		}
		if e, _ := latest[*engine.TransferBegin](from); e == nil {
			t.Error("the sender waits for those who left")
		}
		from.must(&engine.TransferChunk{ID: 1, Data: payload(100)})
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(nil)})
		a.must(&engine.TransferCancel{ID: 1, From: from.ID(), Reason: "corrupt"})
		if e, _ := latest[engine.TransferResult](from); e.Err != engine.ErrCorrupt {
			t.Errorf("result %+v", e)
		}
		if e, _ := latest[*engine.TransferCancel](from); e == nil || e.Reason != engine.CancelNobody {
			t.Errorf("cancel %+v", e)
		}

		from.must(begin(2, 100, a.ID()))
		from.must(begin(3, 100, a.ID()))
		from.must(&engine.TransferCancel{ID: 2, Reason: "never mind"})
		if e, _ := latest[*engine.TransferCancel](a); e == nil || *e != (engine.TransferCancel{ID: 2, From: from.ID(), Reason: "never mind"}) {
			t.Errorf("cancel %+v", e)
		}
		from.Leave()
		synctest.Wait()
		if e, _ := latest[*engine.TransferCancel](a); e == nil || *e != (engine.TransferCancel{ID: 3, From: from.ID(), Reason: engine.CancelGone}) {
			t.Errorf("cancel %+v", e)
		}
	})
}

// A recipient that has all of it answers the question by an end.
func TestTransferAskedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, _, c := transferRoom(t, net, engine.Limits{}, 3)
		from, a, b := c[0], c[1], c[2]
		data := payload(100)
		q := begin(1, 100, a.ID(), b.ID())
		q.Offset = 40
		from.must(q)
		if e, _ := latest[*engine.TransferBegin](a); e == nil || e.Offset != 40 {
			t.Fatalf("asked %+v", e)
		}
		a.must(&engine.TransferEnd{ID: 1, From: from.ID()})
		b.must(&engine.TransferBegin{ID: 1, From: from.ID(), Offset: 60})
		if e, _ := latest[*engine.TransferBegin](from); e == nil || e.Offset != 60 {
			t.Fatalf("answered %+v", e)
		}
		if e, _ := latest[*engine.TransferAck](from); e == nil || e.Offset != 60 {
			t.Errorf("ack %+v", e)
		}
		from.must(&engine.TransferChunk{ID: 1, Offset: 60, Data: data[60:]})
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
		b.must(&engine.TransferEnd{ID: 1, From: from.ID()})
		if _, n := latest[*engine.TransferEnd](from); n != 1 {
			t.Error("no end")
		}

		// Who has less than what it acknowledged is not to hold the others up.
		q = begin(2, 100, a.ID())
		q.Offset = 40
		from.must(q)
		a.must(&engine.TransferBegin{ID: 2, From: from.ID(), Offset: 39})
		if e, _ := latest[engine.TransferResult](from); e.Err != engine.ErrRefused {
			t.Errorf("result %+v", e)
		}
		if e, _ := latest[*engine.TransferCancel](a); e == nil || e.Reason != engine.CancelLost {
			t.Errorf("cancel %+v", e)
		}
		// All have it already.
		q = begin(3, 100, a.ID())
		q.Offset = 100
		from.must(q)
		a.must(&engine.TransferEnd{ID: 3, From: from.ID()})
		if e, _ := latest[*engine.TransferEnd](from); e.ID != 3 {
			t.Errorf("end %+v", e)
		}
	})
}

// A message overtakes the chunks that wait.
func TestTransferChunksGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room, c := transferRoom(t, net, engine.Limits{}, 1)
		from := c[0]
		late, _, err := room.Join(t.Context(), engine.SeatConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer late.Leave()
		from.must(begin(1, testWindow, late.ID()))
		if err := late.Transfer(t.Context(), &engine.TransferBegin{ID: 1, From: from.ID()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		from.feed(1, payload(testWindow), 0, testWindow)
		from.must(&engine.TransferEnd{ID: 1, Hash: hash(payload(testWindow))})
		from.send("chat", text("first"))
		synctest.Wait()
		var order []string
		var events []engine.Event
		for range 4 {
			var err error
			if events, err = late.Next(t.Context(), events[:0]); err != nil {
				t.Fatal(err)
			}
			from.send("chat", text("next"))
			synctest.Wait()
			n := 0
			for _, e := range events {
				switch e := e.(type) {
				case *engine.Message:
					order = append(order, string(e.Content.Data))
				case *engine.TransferChunk:
					order = append(order, "chunk")
					n += len(e.Data)
				case *engine.TransferEnd:
					order = append(order, "end")
				}
			}
			if n > engine.MaxChunk {
				t.Errorf("%d bytes of chunks at once", n)
			}
		}
		want := []string{"first", "chunk", "next", "chunk", "next", "chunk", "next", "chunk", "end"}
		if !slices.Equal(order, want) {
			t.Errorf("order %v", order)
		}
	})
}
