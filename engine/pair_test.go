package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// leaves counts how often a peer left a client.
func (c *client) leaves(peer string) (n int) {
	for _, e := range of[engine.PeerEvent](c) {
		if e.Change == engine.PeerLeave && e.Peer.ID == peer {
			n++
		}
	}
	return n
}

// alive checks that messages pass both ways between a page and a client.
func alive(t *testing.T, p *page, c *client, when string) {
	t.Helper()
	before, beforeC := len(p.messages()), len(of[*engine.Message](c))
	c.send("alive", text("to the page"), p.id)
	p.send("alive", text("to the seat"), c.ID())
	settle(time.Second)
	if len(p.messages()) != before+1 || len(of[*engine.Message](c)) != beforeC+1 {
		t.Errorf("%s: page and seat do not hear each other (page linked: %v, seat's peers: %v)", when, p.linked(c.ID()), c.peers())
	}
}

func TestReloadedPageIsLinkedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load 1", "AAAA", "demo", "")
		settle(3 * time.Second)
		alive(t, p, c, "first load")
		p.leave()
		p = openPage(t, net, "load 2", "AAAA", "demo", "")
		settle(3 * time.Second)
		alive(t, p, c, "after the reload")
		settle(40 * time.Second)
		alive(t, p, c, "40 s later")
		if n := c.leaves("AAAA"); n != 1 {
			t.Errorf("the page left %d times, want 1", n)
		}
	})
}

func TestPageRestoredAfterCrashIsLinkedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load 1", "AAAA", "demo", "")
		settle(3 * time.Second)
		// The crash is not noticed here: the old link stays open and silent.
		p.endpoint.Freeze(true)
		close(p.stop)
		p.sig.Close()
		p2 := openPage(t, net, "load 2", "AAAA", "demo", "")
		settle(8 * time.Second)
		alive(t, p2, c, "after the crash")
		settle(time.Minute)
		alive(t, p2, c, "a minute later")
		if n := c.leaves("AAAA"); n != 1 {
			t.Errorf("the page left %d times, want 1", n)
		}
		p.stop = make(chan struct{})
	})
}

// A page whose link was lost evicts the next one under the same id when the
// old connection fails. We must stay away until then.
func TestHoldOffOutlastsEviction(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		p.endpoint.Cut()
		settle(time.Second)
		if _, linked := c.peers()["AAAA"]; linked {
			t.Fatal("the cut link still counts")
		}
		settle(21 * time.Second)
		alive(t, p, c, "after the hold-off")
		settle(45 * time.Second)
		alive(t, p, c, "45 s later")
		if n := c.leaves("AAAA"); n != 1 {
			t.Errorf("the page left %d times, want 1: the new link was evicted", n)
		}
	})
}

// A page that evicted our link offers anew when it hears us, and answers no
// pings on the old one.
func TestEvictedLinkIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		p.mu.Lock()
		p.drop(p.links[c.ID()])
		p.mu.Unlock()
		settle(25 * time.Second) // our next announce, its offer, our probe
		if n := c.leaves("AAAA"); n != 1 {
			t.Fatalf("the page left %d times, want 1", n)
		}
		settle(21 * time.Second)
		alive(t, p, c, "after the hold-off")
	})
}

func TestOfferOfLinkedPageDoesNotHarmTheLink(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		p.sig.Offer("", p.id, c.ID(), "", "memnet offer by another relay")
		settle(5 * time.Second)
		alive(t, p, c, "after a second offer")
		if c.leaves("AAAA") != 0 || n.Stats().Dropped["offer: linked already"] != 1 {
			t.Errorf("leaves %d, dropped %v", c.leaves("AAAA"), n.Stats().Dropped)
		}
	})
}

func TestSilentLinkIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		start := time.Now()
		p.setMute(true)
		for c.leaves("AAAA") == 0 {
			settle(time.Second)
			if time.Since(start) > time.Minute {
				t.Fatal("a link that shows no life for a minute still counts")
			}
		}
		if d := time.Since(start); d < 30*time.Second || d > 45*time.Second {
			t.Errorf("dropped after %v, want 35 to 42 s", d)
		}
	})
}

func TestIdleLinkLives(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(10 * time.Minute)
		alive(t, p, c, "after ten idle minutes")
		if len(p.leaves) != 0 || len(p.joins) != 2 {
			t.Errorf("joins %v, leaves %v", p.joins, p.leaves)
		}
	})
}

func TestSeatLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		d.Leave()
		settle(time.Second)
		if _, there := c.peers()[d.ID()]; there || p.linked(d.ID()) || !p.linked(c.ID()) {
			t.Errorf("after d left: c's peers %v, page linked with d: %v, with c: %v", c.peers(), p.linked(d.ID()), p.linked(c.ID()))
		}
		if err := d.Send(t.Context(), engine.Outgoing{Channel: "chat"}); err != engine.ErrLeft {
			t.Errorf("send after leaving: %v", err)
		}
		if _, err := d.Next(t.Context(), nil); err != engine.ErrLeft {
			t.Errorf("next after leaving: %v", err)
		}
		settle(time.Minute)
		if s := room.Stats(); s.Links != 2 || s.Hosted != 2 || s.Seats != 1 {
			t.Errorf("a minute later the room holds %+v", s)
		}
	})
}

func TestByeAndSilenceMeanLost(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "a", "AAAA", "demo", "")
		q := openPage(t, net, "b", "BBBB", "demo", "")
		settle(3 * time.Second)
		p.leave()
		q.crash()
		settle(70 * time.Second)
		changes := map[string][]engine.PeerChange{}
		for _, e := range of[engine.PeerEvent](c) {
			changes[e.Peer.ID] = append(changes[e.Peer.ID], e.Change)
		}
		for id, got := range changes {
			slices.Sort(got)
			if want := []engine.PeerChange{engine.PeerJoin, engine.PeerLeave, engine.PeerSeen, engine.PeerLost}; !slices.Equal(got, want) {
				t.Errorf("%s: changes %v, want one of each", id, got)
			}
		}
		if s := room.Stats(); s.Remotes != 0 || s.Links != 0 {
			t.Errorf("the room still holds %+v", s)
		}
	})
}

// rawSignals is somebody on the relay who sends what it likes.
func rawSignals(t *testing.T, net *memnet.Network) (engine.SignalingRoom, func() []engine.Signal) {
	var mu sync.Mutex
	var got []engine.Signal
	sig, err := net.Endpoint("somebody").Open(engine.AppRoom("demo"), "", func(s engine.Signal) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sig.Close)
	return sig, func() []engine.Signal {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func TestNobodyCanClaimAHostedPeer(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c, d := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		sig, _ := rawSignals(t, net)
		sig.Announce(c.ID(), "")
		sig.Bye(c.ID())
		sig.Offer("", c.ID(), d.ID(), "", "memnet offer 1")
		settle(time.Second)
		if got := n.Stats().Dropped["signal: claims a hosted peer"]; got != 3 {
			t.Errorf("dropped %d, want 3", got)
		}
		if _, there := d.peers()[c.ID()]; !there {
			t.Error("a forged bye removed a seat")
		}
	})
}

func TestOffersThatNeverConnectAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{Handshakes: 10, Links: 50, RemotesPerRoom: 100})
		c := join(t, room, engine.SeatConfig{})
		e := net.Endpoint("somebody else")
		sig, _ := rawSignals(t, net)
		for i := range 300 {
			_, sdp, err := e.Offer(context.Background(), nopHandler{})
			if err != nil {
				t.Fatal(err)
			}
			sig.Offer("", string(rune('A'+i%26))+string(rune('a'+i/26)), c.ID(), "", sdp)
			sig.Offer("", "bad", c.ID(), "", "not a description")
			settle(time.Millisecond)
			if s := n.Stats(); s.Handshakes > 10 || s.Links > 50 || room.Stats().Remotes > 100 {
				t.Fatalf("bounds are exceeded: %+v, %+v", s, room.Stats())
			}
		}
		p := openPage(t, net, "load", "zzzz", "demo", "")
		settle(100 * time.Second) // attempts and offers have timed out, and the page has offered again
		if s := n.Stats(); s.Handshakes != 0 || s.Dropped["link: put off, too many are opening"] == 0 || s.Dropped["link: description refused"] == 0 {
			t.Errorf("after the flood: %+v", s)
		}
		alive(t, p, c, "after the flood")
		attempts := n.Stats().Attempts
		for _, outcome := range []string{engine.AttemptOpened, engine.AttemptTimeout, engine.AttemptFailed} {
			if attempts[engine.Attempt{Outcome: outcome}] == 0 {
				t.Errorf("no attempt is counted as %s: %v", outcome, attempts)
			}
		}
	})
}

// Strangers that announce themselves and never answer cost a bounded number of
// offers, and do not keep pages out, which offer themselves.
func TestStrangersToDialAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{Handshakes: 16, RemotesPerRoom: 10})
		sig, _ := rawSignals(t, net)
		for i := range 6000 {
			id := fmt.Sprintf("0%019d", i)
			sig.Host(id)
			sig.Announce(id, "")
			settle(time.Microsecond)
			if s := n.Stats(); s.Handshakes > 2 {
				t.Fatalf("%d offers are open", s.Handshakes)
			}
		}
		if s := n.Stats(); s.Dropped["link: not dialled, too many wait"] == 0 {
			t.Errorf("dropped %v", s.Dropped)
		}
		p := openPage(t, net, "load", "zzzz", "demo", "")
		c := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		alive(t, p, c, "during the flood")
	})
}

type nopHandler struct{}

func (nopHandler) LinkOpen()            {}
func (nopHandler) LinkFrame([]byte)     {}
func (nopHandler) LinkJunk(engine.Junk) {}
func (nopHandler) LinkWritable()        {}
func (nopHandler) LinkClosed(error)     {}

func TestOddSignalsAreTolerated(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		sig, got := rawSignals(t, net)
		sig.Answer("", "AAAA", c.ID(), "", "an answer to no offer")
		sig.Offer("", "AAAA", "0nobody", "", "an offer to nobody")
		sig.Announce("", "")
		sig.Announce(string(make([]byte, 65)), "")
		sig.Bye("never seen")
		sig.Announce("nativeshortid", "native")
		settle(time.Second)
		d := n.Stats().Dropped
		if d["answer: stale"] != 1 || d["signal: bad peer id"] != 2 {
			t.Errorf("dropped %v", d)
		}
		var seen []engine.Peer
		for _, e := range of[engine.PeerEvent](c) {
			if e.Change == engine.PeerSeen {
				seen = append(seen, e.Peer)
			}
		}
		if want := []engine.Peer{{ID: "nativeshortid", Type: "native"}}; !slices.Equal(seen, want) {
			t.Errorf("seen %v, want %v", seen, want)
		}
		// A peer that announces itself and never offers is dialled at last.
		for range 12 {
			sig.Announce("nativeshortid", "native")
			settle(2500 * time.Millisecond)
		}
		offers := 0
		for _, s := range got() {
			if s.Kind == engine.Offer && s.To == "nativeshortid" {
				offers++
			}
		}
		if offers != 0 {
			t.Errorf("offers to a peer that does not host its id in signaling: %d", offers)
		}
		sig.Host("nativeshortid")
		for range 16 {
			sig.Announce("nativeshortid", "native")
			settle(2500 * time.Millisecond)
		}
		for _, s := range got() {
			if s.Kind == engine.Offer {
				offers++
			}
		}
		if offers == 0 || offers > 4 {
			t.Errorf("%d offers in 40 s by two hosted peers, want 2 to 4", offers)
		}
	})
}
