package engine_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Pages get a transfer that one message can carry as that message.
func TestTransferToPages(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, _, c := transferRoom(t, net, engine.Limits{}, 2)
		from, a := c[0], c[1]
		p := openPage(t, net, "a", "AAAA", "demo", "")
		settle(3 * time.Second)
		const most = 100 * (16<<10 - 15) // 1,636,900 with the header of a frame
		data := payload(1_636_900)
		seen := 0 // messages of the page
		if len(data) > most {
			t.Fatal("the test's limit is wrong")
		}
		whole := func(id uint64, data []byte, kind engine.Kind, meta string, hash string) {
			t.Helper()
			q := begin(id, uint64(len(data)), p.id, a.ID())
			q.Kind = kind
			if meta != "" {
				q.Meta = []byte(meta)
			}
			from.must(q)
			a.must(&engine.TransferBegin{ID: id, From: from.ID()})
			for at := 0; at < len(data); {
				end := min(at+testWindow, len(data))
				from.feed(id, data, at, end)
				a.must(&engine.TransferAck{ID: id, From: from.ID(), Offset: uint64(end)})
				at = end
			}
			if got := len(p.messages()); got != seen {
				t.Fatalf("the page got %d messages before the end", got)
			}
			from.must(&engine.TransferEnd{ID: id, Hash: hash})
			a.must(&engine.TransferEnd{ID: id, From: from.ID()})
			settle(5 * time.Second)
		}
		whole(1, data, engine.Binary, "", hash(data))
		got := p.messages()
		if len(got) != 1 || got[0].channel != "file" || got[0].from != from.ID() || !bytes.Equal(got[0].content.Data, data) {
			t.Fatalf("the page got %d messages", len(got))
		}
		fraction := 0.0
		for _, e := range of[engine.TransferProgress](from) {
			if e.Peer == p.id {
				if e.Fraction <= fraction || e.ID != 1 {
					t.Errorf("progress %+v after %g", e, fraction)
				}
				fraction = e.Fraction
			}
		}
		if _, n := latest[*engine.TransferEnd](from); fraction != 1 || n != 1 {
			t.Errorf("progress ended at %g, with %d ends", fraction, n)
		}
		seen++

		results := func(want ...error) {
			t.Helper()
			var got []error
			for _, e := range of[engine.TransferResult](from) {
				if e.Peer != p.id {
					t.Errorf("result %+v", e)
				}
				got = append(got, e.Err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("results %v, want %v", got, want)
			}
		}
		text := []byte("some text")
		whole(2, text, engine.Text, "", hash(text))
		if got := p.messages()[1:]; len(got) != 1 || got[0].content.Kind != engine.Text || string(got[0].content.Data) != "some text" {
			t.Errorf("the page got %+v", got)
		}
		seen++
		results()
		// What is not what it says does not reach the page.
		whole(3, text, engine.JSON, "", hash(text))
		whole(4, []byte("\xff"), engine.Text, "", hash([]byte("\xff")))
		whole(5, text, engine.Text, "", hash(nil))
		results(engine.ErrCorrupt, engine.ErrCorrupt, engine.ErrCorrupt)
		// What is too large is refused at the beginning.
		from.must(begin(6, uint64(len(data)+1), p.id))
		q := begin(7, uint64(len(data)), p.id)
		q.Meta = []byte("1")
		from.must(q)
		q = begin(8, 10, p.id) // from before a restart of the server
		q.Offset = 5
		from.must(q)
		results(engine.ErrCorrupt, engine.ErrCorrupt, engine.ErrCorrupt, engine.ErrTooLarge, engine.ErrTooLarge, engine.ErrPeerGone)
		if e, n := latest[*engine.TransferCancel](from); n != 3 || e.Reason != engine.CancelNobody {
			t.Errorf("%d cancels, %+v", n, e)
		}
		// A page that left meanwhile.
		from.must(begin(9, 10, p.id))
		p.endpoint.Cut()
		settle(time.Second)
		from.feed(9, payload(10), 0, 10)
		from.must(&engine.TransferEnd{ID: 9, Hash: hash(payload(10))})
		settle(time.Second)
		if e, _ := latest[engine.TransferResult](from); e.ID != 9 || e.Err != engine.ErrPeerGone {
			t.Errorf("result %+v", e)
		}
		if got := len(p.messages()); got != seen {
			t.Errorf("the page got %d messages", got)
		}
		if s := n.Stats(); s.Dropped["transfer: corrupt"] != 3 || s.Dropped["transfer: too large for a link"] != 2 {
			t.Errorf("stats %+v", s.Dropped)
		}
	})
}

// What is assembled for links is bounded for the room, and given up beyond.
func TestTransferAssembliesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, _, c := transferRoom(t, net, engine.Limits{}, 2)
		p := openPage(t, net, "a", "AAAA", "demo", "")
		settle(3 * time.Second)
		data := payload(1_600_000)
		fill := func(from *client, id uint64) {
			from.must(begin(id, uint64(len(data)), p.id))
			from.feed(id, data, 0, len(data))
		}
		for id := range uint64(16) { // 25.6 MB
			fill(c[0], id+1)
		}
		for id := range uint64(4) { // to 32 MB
			fill(c[1], id+1)
		}
		if got := of[engine.TransferResult](c[1]); len(got) != 0 {
			t.Fatalf("results %+v", got)
		}
		c[1].must(begin(5, uint64(len(data)), p.id))
		c[1].feed(5, data, 0, 64<<10*23)
		if got := of[engine.TransferResult](c[1]); len(got) != 0 {
			t.Fatalf("results %+v", got)
		}
		c[1].must(&engine.TransferChunk{ID: 5, Offset: 64 << 10 * 23, Data: data[:64<<10]})
		if e, n := latest[engine.TransferResult](c[1]); n != 1 || e.Err != engine.ErrBusy || e.Peer != p.id {
			t.Fatalf("%d results, %+v", n, e)
		}
		c[1].must(&engine.TransferChunk{ID: 5, Offset: 64 << 10 * 24, Data: data[:10]}) // was on its way
		// What ends or is cancelled makes room.
		c[0].must(&engine.TransferCancel{ID: 1})
		c[0].must(&engine.TransferEnd{ID: 2, Hash: hash(data)})
		settle(5 * time.Second)
		if got := len(p.messages()); got != 1 {
			t.Errorf("the page got %d messages", got)
		}
		fill(c[1], 6)
		fill(c[1], 7)
		if _, n := latest[engine.TransferResult](c[1]); n != 1 {
			t.Errorf("%d results: no room was made", n)
		}
	})
}
