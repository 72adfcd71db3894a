package engine_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

var contents = []engine.Content{
	text("hello"), text(""), text("ünïcode 🦦"), text(`{"looks":"like JSON"}`),
	text(string(bytes.Repeat([]byte("long "), 20_000))),
	{Kind: engine.JSON, Data: []byte(`{"a":[1,2,{"b":null}]}`)},
	{Kind: engine.JSON, Data: []byte(`42`)}, {Kind: engine.JSON, Data: []byte(`null`)}, {Kind: engine.JSON, Data: []byte(`true`)},
	{Kind: engine.Binary, Data: []byte{}}, {Kind: engine.Binary, Data: []byte{0, 1, 255}},
	{Kind: engine.Binary, Data: bytes.Repeat([]byte{7, 8, 9}, 500_000), Meta: []byte(`{"name":"f.bin"}`)},
}

func same(t *testing.T, what string, got []engine.Content) {
	t.Helper()
	if len(got) != len(contents) {
		t.Errorf("%s: got %d messages, want %d", what, len(got), len(contents))
		return
	}
	for i, c := range contents {
		if g := got[i]; g.Kind != c.Kind || !bytes.Equal(g.Data, c.Data) || !bytes.Equal(g.Meta, c.Meta) {
			t.Errorf("%s: message %d differs: kind %d, %d bytes, meta %s", what, i, g.Kind, len(g.Data), g.Meta)
		}
	}
}

func TestPagesAndSeatsAreOneRoom(t *testing.T) {
	for _, password := range []string{"", "secret"} {
		t.Run("password="+password, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				_, room := serve(t, net, "server", engine.RoomConfig{Password: password}, engine.Limits{})
				a := openPage(t, net, "a", "AAAAAAAAAAAAAAAAAAAA", "demo", password)
				b := openPage(t, net, "b", "bbbbbbbbbbbbbbbbbbbb", "demo", password)
				openPage(t, net, "w", "wwwwwwwwwwwwwwwwwwww", "demo", "wrong")
				c := join(t, room, engine.SeatConfig{})
				d := join(t, room, engine.SeatConfig{})
				settle(3 * time.Second)

				server := serverID(c)
				for _, p := range []*page{a, b} {
					want := []string{c.ID(), d.ID(), server, a.id, b.id}
					want = slices.DeleteFunc(want, func(id string) bool { return id == p.id })
					slices.Sort(want)
					if got := p.peers(); !slices.Equal(got, want) {
						t.Errorf("page %s is linked with %v, want %v", p.id, got, want)
					}
					if p.types[server] != "superpeer" || p.types[c.ID()] != "session" {
						t.Errorf("page %s was told types %v", p.id, p.types)
					}
				}
				for _, s := range []*client{c, d} {
					other := c.ID()
					if s == c {
						other = d.ID()
					}
					want := map[string]string{a.id: "", b.id: "", server: "superpeer", other: "session"}
					if got := s.peers(); !maps.Equal(got, want) {
						t.Errorf("a seat's peers: %v, want %v", got, want)
					}
				}

				for _, content := range contents {
					a.send("twelve_bytes", content)
					c.send("twelve_bytes", content)
				}
				settle(time.Second)
				byPage := func(p *page, from string) (list []engine.Content) {
					for _, m := range p.messages() {
						if m.from == from && m.channel == "twelve_bytes" {
							list = append(list, m.content)
						}
					}
					return list
				}
				bySeat := func(s *client, from string) (list []engine.Content) {
					for _, m := range of[*engine.Message](s) {
						if m.From == from && m.Channel == "twelve_bytes" {
							list = append(list, m.Content)
						}
					}
					return list
				}
				same(t, "page to page", byPage(b, a.id))
				same(t, "page to seat c", bySeat(c, a.id))
				same(t, "page to seat d", bySeat(d, a.id))
				same(t, "seat to page a", byPage(a, c.ID()))
				same(t, "seat to page b", byPage(b, c.ID()))
				same(t, "seat to seat", bySeat(d, c.ID()))
				if n := len(bySeat(c, c.ID())); n > 0 {
					t.Errorf("a seat heard itself %d times", n)
				}
			})
		})
	}
}

func TestDirectedMessagesReachNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		a := openPage(t, net, "a", "AAAA", "demo", "")
		b := openPage(t, net, "b", "BBBB", "demo", "")
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)

		c.send("chat", text("to a and d"), a.id, d.ID(), a.id)
		a.send("chat", text("to c"), c.ID())
		err := c.Send(t.Context(), engine.Outgoing{Ref: 9, Channel: "chat", Content: text("x"), To: []string{"nobody", serverID(c)}})
		if err != nil {
			t.Error(err)
		}
		c.Send(t.Context(), engine.Outgoing{Channel: "chat", Content: text("to none"), To: []string{}})
		settle(time.Second)

		if got := len(a.messages()); got != 1 {
			t.Errorf("a got %d messages, want 1", got)
		}
		if got := len(b.messages()); got != 0 {
			t.Errorf("b got %d messages, want 0", got)
		}
		if got := of[*engine.Message](d); len(got) != 1 || string(got[0].Content.Data) != "to a and d" {
			t.Errorf("d got %d messages, want 1", len(got))
		}
		if got := of[*engine.Message](c); len(got) != 1 || string(got[0].Content.Data) != "to c" {
			t.Errorf("c got %d messages, want 1", len(got))
		}
		if got := of[engine.Result](c); len(got) != 1 || got[0] != (engine.Result{Ref: 9, Peer: "nobody", Err: engine.ErrUnknownPeer}) {
			t.Errorf("c got results %v", got)
		}
	})
}

func TestTwoServersLinkTheirPeers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, r1 := serve(t, net, "one", engine.RoomConfig{}, engine.Limits{})
		_, r2 := serve(t, net, "two", engine.RoomConfig{}, engine.Limits{})
		c, d := join(t, r1, engine.SeatConfig{}), join(t, r2, engine.SeatConfig{})
		settle(5 * time.Second)
		if c.peers()[d.ID()] != "session" || d.peers()[c.ID()] != "session" || len(c.peers()) != 3 {
			t.Fatalf("c has peers %v, d has %v", c.peers(), d.peers())
		}
		c.send("chat", text("over"))
		d.send("chat", text("back"))
		settle(time.Second)
		if got := of[*engine.Message](d); len(got) != 1 || got[0].From != c.ID() {
			t.Errorf("d got %d messages", len(got))
		}
		if got := of[*engine.Message](c); len(got) != 1 || got[0].From != d.ID() {
			t.Errorf("c got %d messages", len(got))
		}
		settle(time.Minute)
		if got := r1.Stats(); got.Links != 4 {
			t.Errorf("links after a minute: %+v", got)
		}
	})
}

// Of many links that two servers want at once, some must wait for others to
// open, but not for the next announces.
func TestServersMeshBeyondTheBoundOfHandshakes(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, r1 := serve(t, net, "one", engine.RoomConfig{}, engine.Limits{Handshakes: 4})
		_, r2 := serve(t, net, "two", engine.RoomConfig{}, engine.Limits{Handshakes: 4})
		for range 5 {
			join(t, r1, engine.SeatConfig{})
			join(t, r2, engine.SeatConfig{})
		}
		settle(15 * time.Second)
		if got := r1.Stats().Links; got != 36 {
			t.Errorf("%d of 36 links", got)
		}
	})
}

func TestTooLargeForLinksReachesSeats(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		a := openPage(t, net, "a", "AAAA", "demo", "")
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		big := make([]byte, 1_636_901)
		c.Send(t.Context(), engine.Outgoing{Ref: 3, Channel: "file", Content: engine.Content{Kind: engine.Binary, Data: big}})
		c.Send(t.Context(), engine.Outgoing{Ref: 4, Channel: "file", Content: engine.Content{Kind: engine.Binary, Data: big[1:]}, Progress: true})
		settle(time.Second)
		if got := of[engine.Result](c); len(got) != 1 || got[0] != (engine.Result{Ref: 3, Peer: a.id, Err: engine.ErrTooLarge}) {
			t.Errorf("results: %v", got)
		}
		if got := of[*engine.Message](d); len(got) != 2 {
			t.Errorf("the other seat got %d messages, want 2", len(got))
		}
		if got := a.messages(); len(got) != 1 || len(got[0].content.Data) != 1_636_900 {
			t.Errorf("the page got %d messages, want the one of 100 frames", len(got))
		}
		last := map[string]float64{}
		for _, p := range of[engine.Progress](c) {
			if p.Ref != 4 || p.Fraction <= last[p.Peer] {
				t.Errorf("progress %+v after %v", p, last[p.Peer])
			}
			last[p.Peer] = p.Fraction
		}
		if last[a.id] != 1 || last[d.ID()] != 1 || len(last) != 2 {
			t.Errorf("progress ended at %v", last)
		}
	})
}

func TestArrivingMessagesShowProgress(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		a := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		a.send("file", engine.Content{Kind: engine.Binary, Data: make([]byte, 100_000), Meta: []byte(`{"n":1}`)}, c.ID())
		settle(time.Second)
		var last float64
		for _, p := range of[engine.Progress](c) {
			if p.Channel != "file" || p.Peer != a.id || p.Fraction <= last || string(p.Meta) != `{"n":1}` {
				t.Errorf("progress %+v", p)
			}
			last = p.Fraction
		}
		if last != 1 {
			t.Errorf("progress ended at %v", last)
		}
	})
}

func TestPings(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		net.Delay = 30 * time.Millisecond
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		a := openPage(t, net, "a", "AAAA", "demo", "")
		m := openPage(t, net, "m", "MMMM", "demo", "")
		m.setMute(true)
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		for i, peer := range []string{a.id, d.ID(), serverID(c), "nobody", m.id} {
			if err := c.Ping(t.Context(), uint64(i), peer); err != nil {
				t.Error(err)
			}
		}
		settle(16 * time.Second)
		got := map[uint64]error{}
		for _, p := range of[engine.Pong](c) {
			got[p.Ref] = p.Err
		}
		want := map[uint64]error{0: nil, 1: nil, 2: nil, 3: engine.ErrUnknownPeer, 4: engine.ErrPingTimeout}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for range 256 {
			c.Ping(t.Context(), 1, m.id)
		}
		if err := c.Ping(t.Context(), 1, m.id); err != engine.ErrTooMany {
			t.Errorf("ping 257: %v", err)
		}
	})
}
