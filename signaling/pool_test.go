package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

func TestARoomHearsAndIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "secret")
		room.Host("0us")
		settle()

		b := newBrowser(t, "room", "them")
		relay.fanOut(b.announce())
		relay.fanOut(b.offer("0us", "secret", "v=0"))
		relay.fanOut(b.event(RootTopic("room"), `{"peerId":"them","bye":1}`))
		settle()
		want := []engine.Signal{
			{Kind: engine.Announce, Relay: relay.url, From: "them", Author: b.author()},
			{Kind: engine.Offer, Relay: relay.url, From: "them", To: "0us", SDP: "v=0", Author: b.author()},
			{Kind: engine.Bye, Relay: relay.url, From: "them", Author: b.author()},
		}
		if got := in.take(); !slices.Equal(got, want) {
			t.Errorf("delivered %+v", got)
		}

		room.Announce("0us", "superpeer")
		room.Answer(relay.url, "0us", "them", "superpeer", "v=1")
		settle()
		events := relay.events()
		if len(events) != 2 || events[0] != `{"peerId":"0us","type":"superpeer"}` {
			t.Fatalf("sent %q", events)
		}
		c, err := parseContent(events[1])
		if err != nil || c.kind != engine.Answer || c.peer != "0us" || c.typ != "superpeer" {
			t.Errorf("sent %+v, %v", c, err)
		}
		if sdp, err := key(t, "secret", "room").open(c.envelope); err != nil || sdp != "v=1" {
			t.Errorf("sent %q, %v", sdp, err)
		}
		if got := in.take(); len(got) != 0 {
			t.Errorf("our own messages came back: %+v", got)
		}
		s := status(t, p, relay.url)
		if s.State != Connected || s.Counters != (Counters{Connects: 1, Sent: 2, Received: 3, Delivered: 3}) {
			t.Errorf("status %+v", s)
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for name, v := range map[string]struct {
		cfg  Config
		want string
	}{
		"relay":     {Config{Relays: []string{"wss://good.example", "https://bad.example"}}, "must begin with ws:// or wss://"},
		"short key": {Config{Key: "abc"}, "64 hexadecimal digits"},
		"zero key":  {Config{Key: strings.Repeat("0", 64)}, "not a secp256k1 secret key"},
	} {
		if _, err := NewPool(v.cfg); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyOfTheConfigSigns(t *testing.T) {
	const secret = "0000000000000000000000000000000000000000000000000000000000000003"
	const public = "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9" // BIP340, vector 0
	if p := newPool(t, Config{Key: secret}); p.author != public {
		t.Errorf("author %s", p.author)
	}
	if a, b := newPool(t, Config{}), newPool(t, Config{}); a.author == b.author {
		t.Error("two pools have the same random key")
	}
}

func TestARoomIsOpenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		first, in := open(t, p, "room", "")
		if _, err := p.Open("room", "", in.deliver); err == nil || !strings.Contains(err.Error(), `"room"`) {
			t.Errorf("opened twice: %v", err)
		}
		settle()
		first.Close()
		first.Close()
		settle()
		if got := relay.messages(); !slices.Equal(got, []string{"REQ", "CLOSE"}) {
			t.Errorf("sent %v", got)
		}
		relay.fanOut(newBrowser(t, "room", "them").announce())
		second, in2 := open(t, p, "room", "")
		defer second.Close()
		settle()
		relay.fanOut(newBrowser(t, "room", "them").announce())
		settle()
		if len(in.take()) != 0 || len(in2.take()) != 1 {
			t.Error("signals went to the wrong room")
		}
	})
}

func TestCloseOfARoomWaitsForDeliver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		inside, release := make(chan struct{}), make(chan struct{})
		room, err := p.Open("room", "", func(engine.Signal) {
			inside <- struct{}{}
			<-release
		})
		if err != nil {
			t.Fatal(err)
		}
		settle()
		relay.fanOut(newBrowser(t, "room", "them").announce())
		relay.fanOut(newBrowser(t, "room", "others").announce())
		<-inside
		closed := false
		go func() {
			room.Close()
			closed = true
		}()
		settle()
		if closed {
			t.Error("Close did not wait for deliver")
		}
		close(release)
		settle() // a second call of deliver would block for ever
		if !closed {
			t.Error("Close did not return")
		}
	})
}

func TestRoomsShareASocketAndPeersAREQ(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url, "WS://relay:80/"}, HTTPClient: net.client()})
		for i := range 5 {
			open(t, p, fmt.Sprint("other", i), "")
		}
		room, _ := open(t, p, "room", "")
		settle()
		if n := len(relay.connections()); n != 1 {
			t.Errorf("%d sockets", n)
		}
		if n := len(relay.reqs()); n != 6 {
			t.Errorf("%d REQs for 6 rooms", n)
		}

		want := []string{RootTopic("room")}
		for i := range 45 {
			peer := fmt.Sprint("0peer", i)
			want = append(want, SelfTopic("room", peer))
			room.Host(peer)
		}
		settle()
		reqs := relay.reqs()[6:]
		if len(reqs) != 1 {
			t.Fatalf("%d REQs for 45 peers that came at once", len(reqs))
		}
		check := func(want []string) {
			t.Helper()
			last := relay.reqs()[len(relay.reqs())-1]
			var topics []string
			for _, f := range last.Filters {
				some := f.Tags["x"]
				if len(some) > 20 {
					t.Errorf("a filter of %d topics", len(some))
				}
				for _, topic := range some {
					if !slices.Contains(f.Kinds, Kind(topic)) {
						t.Errorf("kind of topic %s is missing", topic)
					}
				}
				if age := time.Since(f.Since.Time()); age < 9*time.Minute || age > 11*time.Minute {
					t.Errorf("since is %v ago", age)
				}
				topics = append(topics, some...)
			}
			slices.Sort(topics)
			slices.Sort(want)
			if !slices.Equal(topics, want) {
				t.Errorf("subscribed %d topics, want %d", len(topics), len(want))
			}
			if id := last.SubscriptionID; id != reqs[0].SubscriptionID || len(id) == 0 || len(id) > 64 {
				t.Errorf("subscription id %q", id)
			}
		}
		check(slices.Clone(want))
		for i := range 45 {
			room.Unhost(fmt.Sprint("0peer", i))
		}
		room.Unhost("0never")
		settle()
		check([]string{RootTopic("room")})
	})
}

// Whoever hears an announce sends an offer to the peer's topic at once.
func TestAPeerIsSubscribedBeforeItIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		settle()
		b := newBrowser(t, "room", "them")
		relay.answer = func(m nostr.Envelope) []string {
			if ev, ok := m.(*nostr.EventEnvelope); ok && strings.Contains(ev.Content, `"type":"session"`) {
				c, _ := parseContent(ev.Content)
				relay.fanOut(b.offer(c.peer, "", "v=0"))
				return []string{}
			}
			return nil
		}
		for i := range 50 {
			peer := fmt.Sprint("0peer", i)
			room.Host(peer)
			room.Announce(peer, "session")
		}
		settle()
		if got := in.take(); len(got) != 50 {
			t.Errorf("%d of 50 offers came", len(got))
		}
	})
}

func TestWhatIsNotAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		settle()
		room.Announce("0never", "session") // not hosted
		room.Host("0a")
		room.Announce("0a", "session")
		settle()
		room.Bye("0a")
		room.Announce("0a", "session") // gone
		settle()
		room.Unhost("0a")
		room.Announce("0a", "session")
		room.Host("0a")
		room.Announce("0a", "session") // back
		settle()
		want := []string{
			`{"peerId":"0a","type":"session"}`,
			`{"peerId":"0a","bye":1}`,
			`{"peerId":"0a","type":"session"}`,
		}
		if got := relay.events(); !slices.Equal(got, want) {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAnswersGoByTheRelayOfTheOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		a, b := net.relay(t, "a"), net.relay(t, "b")
		p := newPool(t, Config{Relays: []string{a.url, b.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		settle()
		room.Answer(b.url, "0us", "them", "", "v=0")
		room.Answer("ws://unknown", "0us", "them", "", "v=0")
		settle()
		if len(a.events()) != 0 || len(b.events()) != 1 {
			t.Errorf("answer went to %v and %v", a.events(), b.events())
		}
		room.Offer("", "0us", "them", "", "v=0")
		settle()
		if len(a.events()) != 1 || len(b.events()) != 2 {
			t.Errorf("offer went to %v and %v", a.events(), b.events())
		}
		if s := p.Stats(); s != (Stats{Unheard: 1}) {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestADescriptionThatIsTooLongIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		settle()
		room.Answer(relay.url, "0us", "them", "", strings.Repeat("a", maxDescription+1))
		settle()
		if len(relay.events()) != 0 || p.Stats() != (Stats{Failed: 1}) {
			t.Errorf("sent %d events, %+v", len(relay.events()), p.Stats())
		}
	})
}

func TestNothingIsSignedThatNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		p := newPool(t, Config{Relays: []string{"ws://nowhere"}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		room.Host("0us")
		room.Announce("0us", "superpeer")
		room.Bye("0us")
		settle()
		if s := p.Stats(); s.Unheard == 0 || s.Lost != 0 {
			t.Errorf("stats %+v", s)
		}
		if s := status(t, p, "ws://nowhere"); s.Counters != (Counters{}) {
			t.Errorf("status %+v", s)
		}
	})
}

func TestSetRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		a, b := net.relay(t, "a"), net.relay(t, "b")
		p := newPool(t, Config{Relays: []string{a.url}, HTTPClient: net.client()})
		_, in := open(t, p, "room", "")
		settle()
		if err := p.SetRelays([]string{"ws://A/", b.url, b.url + "/"}); err != nil {
			t.Fatal(err)
		}
		settle()
		if len(a.connections()) != 1 || len(b.connections()) != 1 || len(b.reqs()) != 1 {
			t.Errorf("sockets %d and %d, %d REQs", len(a.connections()), len(b.connections()), len(b.reqs()))
		}
		if err := p.SetRelays([]string{b.url, "ftp://c"}); err == nil {
			t.Error("a bad URL is taken")
		}
		if len(p.Status()) != 2 {
			t.Errorf("a bad URL changed the relays: %v", p.Status())
		}
		if err := p.SetRelays([]string{b.url}); err != nil {
			t.Fatal(err)
		}
		settle()
		if codes := a.closeCodes(); !slices.Equal(codes, []websocket.StatusCode{websocket.StatusGoingAway}) {
			t.Errorf("removed relay saw %v", codes)
		}
		b.fanOut(newBrowser(t, "room", "them").announce())
		settle()
		if len(b.connections()) != 1 || len(in.take()) != 1 || len(p.Status()) != 1 {
			t.Error("the relay that stays noticed")
		}
	})
}

func TestCloseSendsTheByes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url, "ws://nowhere"}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		still, _ := open(t, p, "still-open", "")
		settle()
		for i := range 100 {
			room.Host(fmt.Sprint("0peer", i))
			room.Bye(fmt.Sprint("0peer", i))
		}
		room.Close()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		if time.Since(start) > time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		settle() // for what the relay has received
		byes := slices.DeleteFunc(relay.events(), func(s string) bool { return !strings.Contains(s, `"bye":1`) })
		if len(byes) != 100 {
			t.Errorf("%d of 100 byes were sent", len(byes))
		}
		if codes := relay.closeCodes(); !slices.Equal(codes, []websocket.StatusCode{websocket.StatusGoingAway}) {
			t.Errorf("relay saw %v", codes)
		}

		if err := p.Close(ctx); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := p.SetRelays(nil); !errors.Is(err, errClosed) {
			t.Errorf("SetRelays: %v", err)
		}
		if _, err := p.Open("late", "", in.deliver); !errors.Is(err, errClosed) {
			t.Errorf("Open: %v", err)
		}
		still.Announce("0us", "")
		still.Bye("0us")
		still.Close()
		if s := p.Stats(); s.Lost != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p, err := NewPool(Config{
			Relays:     []string{relay.url},
			HTTPClient: net.client(),
			Logger:     slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		room, _ := open(t, p, "room", "")
		settle()
		resume := relay.stall()
		defer resume()
		for i := range 10 {
			room.Bye(fmt.Sprint("0peer", i))
		}
		settle()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
		if s := status(t, p, relay.url); s.Counters.Lost == 0 || s.Counters.Sent+s.Counters.Lost != 10 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestDraftsAreBounded(t *testing.T) {
	p := newPool(t, Config{})
	room, _ := open(t, p, "room", "")
	p.kill() // the signer takes no more
	<-p.signed
	for i := range draftLimit + 5 {
		room.Bye(fmt.Sprint("0peer", i))
	}
	room.Answer("", "0us", "them", "", "v=0")
	room.Bye("0peer100") // replaces the one that waits
	if s := p.Stats(); s != (Stats{Lost: 6}) {
		t.Errorf("stats %+v", s)
	}
}

// One room that does not take its signals costs the others nothing.
func TestASlowRoomIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		var got []engine.Signal
		release := make(chan struct{})
		slow, err := p.Open("slow", "", func(s engine.Signal) {
			<-release
			got = append(got, s)
		})
		if err != nil {
			t.Fatal(err)
		}
		slow.Host("0us")
		_, in := open(t, p, "quick", "")
		settle()

		const extra = 20
		b := newBrowser(t, "slow", "them")
		b.id = "first"
		relay.fanOut(b.announce()) // the one that blocks
		settle()
		relay.fanOut(b.offer("0us", "", "v=0"))
		for i := range inboxLimit + extra {
			b.id = fmt.Sprint("them", i)
			relay.fanOut(b.announce())
		}
		relay.fanOut(newBrowser(t, "quick", "them").announce())
		settle()
		if len(in.take()) != 1 {
			t.Error("the quick room waits for the slow one")
		}
		close(release)
		settle()
		if len(got) != 1+inboxLimit || got[0].From != "first" || got[1].Kind != engine.Offer {
			t.Errorf("the slow room got %d signals, then %+v", len(got), got[1])
		}
		if last := got[len(got)-1]; last.From != fmt.Sprint("them", inboxLimit+extra-1) {
			t.Errorf("the last signal is %+v", last)
		}
		if n := status(t, p, relay.url).Counters.Overflow; n != extra+1 {
			t.Errorf("%d signals count as lost", n)
		}
	})
}
