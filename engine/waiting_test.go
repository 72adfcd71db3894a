package engine_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func texts(p *page) (list []string) {
	for _, m := range p.messages() {
		list = append(list, string(m.content.Data))
	}
	return list
}

func (c *client) sendRef(ref uint64, channel string, content engine.Content, to ...string) {
	c.t.Helper()
	if err := c.Send(c.t.Context(), engine.Outgoing{Ref: ref, Channel: channel, Content: content, To: to, Progress: true}); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

func TestSendsWaitForALostLink(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		other := openPage(t, net, "other", "BBBB", "demo", "")
		settle(3 * time.Second)
		p.endpoint.Cut()
		c.sendRef(1, "chat", text("1 before anybody noticed"), p.id)
		settle(time.Second)
		c.sendRef(2, "chat", text("2 to one"), p.id)
		c.sendRef(3, "chat", text("3 to all"))
		c.sendRef(4, "chat", text("4 to the other"), other.id)
		settle(10 * time.Second)
		if got := fmt.Sprint(texts(other)); got != "[3 to all 4 to the other]" {
			t.Errorf("the other page got %s", got)
		}
		if _, there := c.peers()[p.id]; there {
			t.Error("the page still counts as connected")
		}
		settle(15 * time.Second)
		if got := fmt.Sprint(texts(p)); got != "[1 before anybody noticed 2 to one 3 to all]" {
			t.Errorf("the page got %s", got)
		}
		if got := of[engine.Result](c); len(got) != 0 {
			t.Errorf("results %v", got)
		}
	})
}

// A message that was under way is sent anew from its first frame, and its
// progress does not go back.
func TestMessageUnderWayGoesByTheNextLink(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		server := net.Endpoint("server")
		_, room := serveAt(t, server, engine.RoomConfig{}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		server.Freeze(true)
		data := bytes.Repeat([]byte{1, 2, 3}, 200_000)
		c.sendRef(1, "file", engine.Content{Kind: engine.Binary, Data: data}, p.id)
		settle(time.Second)
		p.endpoint.Cut()
		server.Freeze(false)
		settle(25 * time.Second)
		if got := p.messages(); len(got) != 1 || !bytes.Equal(got[0].content.Data, data) {
			t.Errorf("the page got %d messages", len(got))
		}
		last := 0.0
		for _, e := range of[engine.Progress](c) {
			if e.Fraction <= last {
				t.Errorf("progress %v after %v", e.Fraction, last)
			}
			last = e.Fraction
		}
		if last != 1 {
			t.Errorf("progress ended at %v", last)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{LinkPending: 10_000})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		p.endpoint.Cut()
		settle(time.Second)
		for ref := range uint64(100) {
			c.sendRef(ref, "chat", engine.Content{Kind: engine.Binary, Data: make([]byte, 1000)}, p.id)
		}
		settle(time.Second)
		slow := of[engine.Result](c)
		if len(slow) != 92 || slow[0] != (engine.Result{Ref: 8, Peer: p.id, Err: engine.ErrPeerSlow}) {
			t.Errorf("%d were refused, want 92: %v", len(slow), slow[:min(3, len(slow))])
		}
		settle(25 * time.Second)
		if got := len(p.messages()); got+len(slow) != 100 {
			t.Errorf("%d arrived", got)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	for name, end := range map[string]struct {
		act   func(*page)
		after time.Duration // of the loss, when it is not yet over; 0: at once
	}{
		"time":     {func(p *page) { p.crash() }, 44 * time.Second},
		"farewell": {func(p *page) { p.leave() }, 0},
		"bye":      {func(p *page) { sig := p.sig; sig.Bye(p.id); p.crash() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				_, room := serve(t, net, "server", engine.RoomConfig{Redeliver: []string{"again"}}, engine.Limits{})
				c := join(t, room, engine.SeatConfig{})
				p := openPage(t, net, "load", "AAAA", "demo", "")
				settle(3 * time.Second)
				p.setMute(true) // so that nothing is confirmed
				c.sendRef(1, "again", text("maybe lost"), p.id)
				settle(time.Second)
				end.act(p)
				settle(time.Second)
				want := []engine.Result{{Ref: 1, Peer: p.id, Err: engine.ErrPeerGone}, {Ref: 2, Peer: p.id, Err: engine.ErrUnknownPeer}}
				if end.after > 0 {
					c.sendRef(2, "chat", text("waits"), p.id)
					settle(end.after - time.Second)
					if got := of[engine.Result](c); len(got) != 0 {
						t.Errorf("results after %v: %v", end.after, got)
					}
					settle(2 * time.Second)
					want[1].Err = engine.ErrPeerGone
				} else {
					c.sendRef(2, "chat", text("to nobody"), p.id)
				}
				c.sendRef(3, "chat", text("to nobody"), p.id)
				settle(time.Second)
				want = append(want, engine.Result{Ref: 3, Peer: p.id, Err: engine.ErrUnknownPeer})
				if got := of[engine.Result](c); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("results %v, want %v", got, want)
				}
			})
		})
	}
}

// What waits is given up as soon as nobody expects the peer any more, though it
// may still be linked with others.
func TestForgottenPeerIsNotWaitedFor(t *testing.T) {
	for name, forget := range map[string]func(*page, engine.SignalingRoom){
		"bye": func(p *page, _ engine.SignalingRoom) { p.sig.Bye(p.id) },
		"full roster": func(p *page, sig engine.SignalingRoom) {
			p.mu.Lock()
			for _, l := range p.links {
				l.half.Close()
			}
			p.mu.Unlock()
			settle(time.Millisecond)
			for i := range 10 {
				sig.Announce(fmt.Sprint("stranger", i), "")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{RemotesPerRoom: 5})
				c := join(t, room, engine.SeatConfig{})
				p := openPage(t, net, "load", "AAAA", "demo", "")
				sig, _ := rawSignals(t, net)
				settle(3 * time.Second)
				p.mu.Lock()
				p.links[c.ID()].half.Close()
				p.mu.Unlock()
				settle(time.Second)
				c.sendRef(1, "chat", text("waits"), p.id)
				settle(time.Second)
				if got := of[engine.Result](c); len(got) != 0 {
					t.Errorf("results %v", got)
				}
				forget(p, sig)
				settle(time.Millisecond)
				if got := of[engine.Result](c); len(got) != 1 || got[0] != (engine.Result{Ref: 1, Peer: p.id, Err: engine.ErrPeerGone}) {
					t.Errorf("results %v", got)
				}
			})
		})
	}
}

// On an ordinary channel what the transport holds unacknowledged at a link's
// end is reported, on a redeliver channel it is sent again.
func TestWhatWasInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		server := net.Endpoint("server")
		_, room := serveAt(t, server, engine.RoomConfig{Redeliver: []string{"again"}}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		c.sendRef(1, "once", text("arrived"))
		c.sendRef(2, "again", text("arrived again"))
		settle(time.Second)
		server.Freeze(true)
		c.sendRef(3, "once", text("lost"))
		c.sendRef(4, "again", text("resent"))
		room.SetRedeliver(nil)
		c.sendRef(5, "again", text("not any more"))
		settle(100 * time.Millisecond)
		p.endpoint.Cut()
		settle(25 * time.Second)
		if got := fmt.Sprint(texts(p)); got != "[arrived arrived again resent]" {
			t.Errorf("the page got %s", got)
		}
		want := fmt.Sprint([]engine.Result{{Ref: 3, Peer: p.id, Err: engine.ErrPeerGone}, {Ref: 5, Peer: p.id, Err: engine.ErrPeerGone}})
		if got := fmt.Sprint(of[engine.Result](c)); got != want {
			t.Errorf("results %s, want %s", got, want)
		}
	})
}

// A page that evicted a link reads what comes by it and does not listen: only
// the missing pong tells. What was before the last pong is not sent again.
func TestRedeliverAfterAnEviction(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Redeliver: []string{"again"}}, engine.Limits{})
		c := join(t, room, engine.SeatConfig{})
		p := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		c.send("again", text("heard"))
		settle(time.Second)
		p.mu.Lock()
		p.drop(p.links[c.ID()])
		p.mu.Unlock()
		c.send("again", text("not heard"))
		settle(time.Minute)
		if got := fmt.Sprint(texts(p)); got != "[heard not heard]" {
			t.Errorf("the page got %s", got)
		}
		if got := of[engine.Result](c); len(got) != 0 {
			t.Errorf("results %v", got)
		}
	})
}

// Pings that confirm messages are few, and need not be where the transport
// acknowledges what there is.
func TestConfirmingPingsAreFew(t *testing.T) {
	for _, test := range []struct {
		channel     string
		gap         time.Duration
		least, most int
	}{
		{"again", 5 * time.Millisecond, 8, 11},
		{"once", 5 * time.Millisecond, 8, 11},
		{"once", 50 * time.Millisecond, 0, 0},
	} {
		bubble(t, func(t *testing.T, net *memnet.Network) {
			net.Delay = 20 * time.Millisecond
			_, room := serve(t, net, "server", engine.RoomConfig{Redeliver: []string{"again"}}, engine.Limits{})
			c := join(t, room, engine.SeatConfig{})
			p := openPage(t, net, "load", "AAAA", "demo", "")
			settle(3 * time.Second)
			before := p.pings
			for range 5 * time.Second / test.gap {
				c.send(test.channel, text("x"))
				settle(test.gap)
			}
			settle(time.Second)
			if got := p.pings - before; got < test.least || got > test.most {
				t.Errorf("%d pings for a message every %v on %s, want %d to %d", got, test.gap, test.channel, test.least, test.most)
			}
		})
	}
}

// A transport acknowledges packets beyond a lost one too, and the messages in
// them never arrive if the link is cut then: they are reported.
func TestAcknowledgedBeyondAGapIsNotArrived(t *testing.T) {
	for seed := range uint64(30) {
		bubble(t, func(t *testing.T, net *memnet.Network) {
			net.Path, net.Seed = &memnet.Path{RTT: 100 * time.Millisecond, Loss: 0.2}, seed
			_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
			c := join(t, room, engine.SeatConfig{})
			p := openPage(t, net, "load", "AAAA", "demo", "")
			settle(20 * time.Second)
			if !p.linked(c.ID()) {
				t.Fatal("not linked")
			}
			for ref := range uint64(50) {
				c.sendRef(ref, "chat", engine.Content{Kind: engine.Binary, Data: append([]byte{byte(ref)}, make([]byte, 1000)...)}, p.id)
				settle(5 * time.Millisecond)
			}
			p.endpoint.Cut()
			settle(time.Minute)
			told := map[uint64]bool{}
			for _, m := range p.messages() {
				told[uint64(m.content.Data[0])] = true
			}
			for _, r := range of[engine.Result](c) {
				told[r.Ref] = true
			}
			if len(told) != 50 {
				t.Errorf("seed %d: %d of 50 messages arrived or were reported", seed, len(told))
			}
		})
	}
}
