package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func TestSeatsBeyondTheBoundSpeakThroughTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{HostedPerRoom: 1, SeatsPerRoom: 3})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		d, e := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		if _, _, err := room.Join(t.Context(), engine.SeatConfig{}); err != engine.ErrRoomFull {
			t.Errorf("the fourth of three seats: %v", err)
		}
		settle(3 * time.Second)
		if c.Identity() != engine.IdentitySession || d.Identity() != engine.IdentityServer || e.Identity() != engine.IdentityServer {
			t.Fatalf("identities %v %v %v", c.Identity(), d.Identity(), e.Identity())
		}
		server := serverID(d)
		if p.linked(d.ID()) || !p.linked(server) || !p.linked(c.ID()) {
			t.Errorf("the page is linked with %v", p.peers())
		}
		d.send("chat", text("from d"))
		p.send("chat", text("to the server"), server)
		settle(time.Second)
		if got := p.messages(); len(got) != 1 || got[0].from != server {
			t.Errorf("the page got %+v, want one message by the server", got)
		}
		for _, s := range []*client{d, e} {
			got := of[*engine.Message](s)
			if len(got) == 0 || got[len(got)-1].From != p.id {
				t.Errorf("a seat without hosted peer got %d messages", len(got))
			}
			if _, there := s.peers()[p.id]; !there {
				t.Errorf("a seat without hosted peer has peers %v", s.peers())
			}
		}
		if got := of[*engine.Message](e); len(got) != 2 || got[0].From != d.ID() {
			t.Errorf("seats must see each other by their own ids: %d messages", len(got))
		}
		if got := of[*engine.Message](c); len(got) != 1 {
			t.Errorf("c got %d messages, want d's", len(got))
		}
		// Who joins later is told of the links that are there.
		e.Leave()
		settle(time.Second)
		f := join(t, room, engine.SeatConfig{})
		if _, there := f.peers()[p.id]; !there {
			t.Errorf("welcome without the page: %v", f.welcome)
		}
	})
}

func TestSlowSeatIsCutOffAlone(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		slow, _, err := room.Join(t.Context(), engine.SeatConfig{Pending: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		for range 300 {
			c.send("chat", text(strings.Repeat("x", 1000)))
		}
		settle(time.Second)
		if _, err := slow.Next(t.Context(), nil); err != engine.ErrSlow {
			t.Errorf("the slow seat's Next: %v", err)
		}
		if err := slow.Send(t.Context(), engine.Outgoing{Channel: "chat"}); err != engine.ErrSlow {
			t.Errorf("the slow seat's Send: %v", err)
		}
		if got := len(of[*engine.Message](d)); got != 300 {
			t.Errorf("the other seat got %d messages, want 300", got)
		}
		if n.Stats().SlowSeats != 1 {
			t.Errorf("stats: %+v", n.Stats())
		}
		slow.Leave()
	})
}

func TestOneMessageMayAlwaysWait(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		small, _, err := room.Join(t.Context(), engine.SeatConfig{Pending: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer small.Leave()
		c := join(t, room, engine.SeatConfig{})
		if _, err := small.Next(t.Context(), nil); err != nil { // that c joined
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			c.send("chat", text(strings.Repeat("x", 5000)))
		}()
		events, err := small.Next(t.Context(), nil)
		if err != nil || len(events) != 1 {
			t.Errorf("next: %d events, %v", len(events), err)
		}
		// It is still in the reader's hands.
		c.send("chat", text("one more"))
		settle(time.Second)
		if _, err := small.Next(t.Context(), nil); err != engine.ErrSlow {
			t.Errorf("next: %v, want ErrSlow", err)
		}
	})
}

func TestSlowLinkRefusesAndGoneLinkReports(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		server := net.Endpoint("server")
		n := engine.New(engine.Config{Signaling: server, Transport: server, Limits: engine.Limits{LinkPending: 1 << 20}})
		defer n.Close(context.Background())
		room, err := n.Open(engine.RoomConfig{Name: "demo"})
		if err != nil {
			t.Fatal(err)
		}
		p, q := openPage(t, net, "a", "AAAA", "demo", ""), openPage(t, net, "b", "BBBB", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		server.Freeze(true)
		for ref := range 5 {
			data := bytes.Repeat([]byte{byte(ref)}, 400_000)
			c.Send(t.Context(), engine.Outgoing{Ref: uint64(ref), Channel: "file", Content: engine.Content{Kind: engine.Binary, Data: data}, To: []string{p.id}})
		}
		settle(time.Second)
		slow := of[engine.Result](c)
		if len(slow) == 0 || slow[0].Err != engine.ErrPeerSlow || slow[0].Peer != p.id {
			t.Fatalf("results: %v", slow)
		}
		p.crash()
		server.Freeze(false)
		settle(44 * time.Second)
		if waiting := of[engine.Result](c)[len(slow):]; len(waiting) != 0 {
			t.Errorf("44 s after the crash: %v", waiting)
		}
		settle(2 * time.Second)
		gone := of[engine.Result](c)[len(slow):]
		if len(gone) == 0 || gone[0].Err != engine.ErrPeerGone || len(slow)+len(gone) != 5 {
			t.Errorf("46 s after the crash: %v", gone)
		}
		c.send("chat", text("others go on"), q.id)
		settle(time.Second)
		if got := q.messages(); len(got) != 1 {
			t.Errorf("the other page got %d messages", len(got))
		}
	})
}

// A large message on one channel delays another channel's by a frame or so.
func TestChannelsTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		net.Delay = 50 * time.Millisecond // so that the large message queues up
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		c.send("bulk", engine.Content{Kind: engine.Binary, Data: make([]byte, 1_600_000)})
		c.send("bulk", text("after the bulk"))
		c.send("chat", text("at once"))
		settle(10 * time.Second)
		var order []string
		for _, m := range p.messages() {
			order = append(order, m.channel)
		}
		if got := fmt.Sprint(order); got != "[chat bulk bulk]" {
			t.Errorf("order of arrival %v", got)
		}
	})
}

func TestCloseTakesFarewell(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := c.Next(t.Context(), nil); err != engine.ErrClosed {
			t.Errorf("next: %v", err)
		}
		if len(p.leaves) != 2 {
			t.Errorf("the page saw %d peers leave, want 2", len(p.leaves))
		}
		if _, _, err := room.Join(t.Context(), engine.SeatConfig{}); err != engine.ErrClosed {
			t.Errorf("join: %v", err)
		}
		if _, err := n.Open(engine.RoomConfig{Name: "other"}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("open: %v", err)
		}
		if len(n.Rooms()) != 0 {
			t.Errorf("rooms: %v", n.Rooms())
		}
	})
}

func TestOpenRefusesDuplicates(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{Password: "secret"}, engine.Limits{})
		if _, err := n.Open(engine.RoomConfig{Name: "demo"}); err == nil {
			t.Error("a second room demo was opened")
		}
		if _, err := n.Open(engine.RoomConfig{}); err == nil {
			t.Error("a room without a name was opened")
		}
		if room.CheckPassword("") || room.CheckPassword("Secret") || !room.CheckPassword("secret") {
			t.Error("password check")
		}
	})
}

func TestBadChannelsAndTargets(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		for _, name := range []string{"", "thirteen_byte", "@_ping", "@_", "@_meshes", "@_Mesh", "a\x00b", "\xff", "ñandúñandú12"} {
			if err := c.Send(t.Context(), engine.Outgoing{Channel: name}); err != engine.ErrChannelName {
				t.Errorf("channel %q: %v", name, err)
			}
		}
		if err := c.Send(t.Context(), engine.Outgoing{Channel: "chat", To: make([]string, 1001)}); err != engine.ErrTooMany {
			t.Errorf("1001 targets: %v", err)
		}
	})
}

func TestJunkOnALinkHarmsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		header := func(channel string, tag byte, payload []byte) []byte {
			b := make([]byte, frame.HeaderSize, frame.HeaderSize+len(payload))
			copy(b, channel)
			b[13], b[14] = tag, 255
			return append(b, payload...)
		}
		bomb, err := frame.Encode("chat", 1, text(strings.Repeat("0", 40<<20)))
		if err != nil {
			t.Fatal(err)
		}
		junk := append([][]byte{
			nil, []byte("short"), header("", 1, nil), header("\xff\xfe", 1, nil),
			header("chat", 9, []byte("{no json")), header("chat", 0x11, []byte("no zlib")),
			header("@_nobody", 1, nil), header("@_signal", 1, []byte("text")), header("@_signal", 9, []byte(`{"type":"answer"}`)),
			header("@_stream", 9, []byte(`{}`)), header("@_pong", 1, nil),
		}, bomb...)
		for _, b := range junk {
			p.raw(c.ID(), b)
		}
		settle(time.Second)
		alive(t, p, c, "after junk")
		dropped := n.Stats().Dropped
		for reason, want := range map[string]uint64{
			"frame: short": 2, "frame: bad channel name": 2, "frame: bad JSON": 1, "frame: bad compression": 1,
			"frame: inflates too far": 1, "frame: unknown internal channel": 1, "media: bad signal": 2,
		} {
			if dropped[reason] != want {
				t.Errorf("%s: counted %d, want %d", reason, dropped[reason], want)
			}
		}
	})
}

func TestMediaOffersAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		p.send("@_signal", engine.Content{Kind: engine.JSON, Data: mustJSON(map[string]string{"type": "offer", "sdp": "media"})}, c.ID())
		settle(time.Second)
		got := p.messages()
		if len(got) != 1 || got[0].channel != "@_signal" || string(got[0].content.Data) != `{"type":"answer","sdp":"answer to media"}` {
			t.Errorf("the page got %+v", got)
		}
	})
}
