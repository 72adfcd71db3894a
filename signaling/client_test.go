package signaling

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

func TestReconnectSubscribesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		room.Host("0us")
		settle()
		first := relay.reqs()
		time.Sleep(time.Hour)
		if len(relay.connections()) != 1 {
			t.Fatalf("%d sockets in a quiet hour", len(relay.connections()))
		}

		dropped := time.Now()
		relay.drop()
		settle()
		if s := status(t, p, relay.url); s.State != Waiting || s.LastError == "" || !s.Since.Equal(dropped) {
			t.Errorf("status %+v", s)
		}
		time.Sleep(2 * time.Second)
		again := relay.reqs()[len(first):]
		if len(again) != 1 || again[0].SubscriptionID != first[0].SubscriptionID {
			t.Fatalf("subscribed %v again", again)
		}
		if since := again[0].Filters[0].Since.Time(); since.Before(dropped.Add(-10 * time.Minute).Truncate(time.Second)) {
			t.Errorf("since is not fresh: %v", since)
		}
		relay.fanOut(newBrowser(t, "room", "them").offer("0us", "", "v=0"))
		settle()
		if len(in.take()) != 1 || status(t, p, relay.url).State != Connected {
			t.Error("the relay is not heard again")
		}
	})
}

// Rooms and peers may come and go while a relay is away.
func TestWhatChangesDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		old, _ := open(t, p, "old", "")
		settle()
		up := net.down(relay)
		settle()
		old.Close()
		room, _ := open(t, p, "new", "")
		room.Host("0us")
		room.Announce("0us", "")
		room.Offer("", "0us", "them", "", "v=0")
		up()
		time.Sleep(time.Minute)
		reqs := relay.reqs()[1:]
		if len(reqs) != 1 || !slices.Contains(reqs[0].Filters[0].Tags["x"], SelfTopic("new", "0us")) {
			t.Errorf("subscribed %v", reqs)
		}
		// Who is here now is said; descriptions of the outage are stale.
		if got := relay.events(); !slices.Equal(got, []string{`{"peerId":"0us"}`}) {
			t.Errorf("sent %q", got)
		}
	})
}

// attempts counts what a client dials, and fails.
type attempts struct {
	mu    sync.Mutex
	times []time.Time
}

func (a *attempts) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.times = append(a.times, time.Now())
			return nil, &net.OpError{Op: "dial", Err: net.UnknownNetworkError("memory")}
		},
	}}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a attempts
		newPool(t, Config{Relays: []string{"ws://nowhere"}, HTTPClient: a.client()})
		time.Sleep(time.Hour)
		a.mu.Lock()
		defer a.mu.Unlock()
		checkBackoff(t, a.times)
	})
}

// A relay that takes the socket and drops it at once is no better.
func TestBackoffOfARelayThatDropsUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		relay.answer = func(nostr.Envelope) []string {
			relay.drop()
			return []string{}
		}
		var log bytes.Buffer
		p := newPool(t, Config{
			Relays:     []string{relay.url},
			HTTPClient: net.client(),
			Logger:     slog.New(slog.NewTextHandler(&log, nil)),
		})
		open(t, p, "room", "")
		time.Sleep(time.Hour)
		checkBackoff(t, relay.connections())
		if lines := strings.Count(log.String(), "\n"); lines != 2 { // up and down
			t.Errorf("%d log lines: %.1000s", lines, &log)
		}
	})
}

func checkBackoff(t *testing.T, times []time.Time) {
	t.Helper()
	if len(times) < 100 || len(times) > 400 {
		t.Errorf("%d attempts in an hour", len(times))
	}
	gaps := make(map[time.Duration]bool)
	for i := range len(times) - 1 {
		gap := times[i+1].Sub(times[i])
		gaps[gap] = true
		least, most := 10*time.Second, 30*time.Second
		if i < 5 { // 1 2 4 8 16 s, and half of it more or less
			least, most = time.Second<<i/2, time.Second<<i*3/2
		}
		if gap < least || gap > most+time.Second/10 { // and the life of the socket
			t.Errorf("gap %d is %v, not %v to %v", i, gap, least, most)
		}
	}
	if len(gaps) < len(times)/2 {
		t.Error("the gaps have no jitter")
	}
}

func TestBackoffIsShortAfterASteadySocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		for range 5 {
			up := net.down(relay)
			time.Sleep(5 * time.Minute)
			up()
			time.Sleep(30*time.Second + steadyAfter)
			n := len(relay.connections())
			relay.drop()
			time.Sleep(1500 * time.Millisecond)
			if len(relay.connections()) != n+1 {
				t.Error("no quick attempt after a steady socket")
			}
			time.Sleep(steadyAfter)
		}
	})
}

func TestDeadSocketIsNoticed(t *testing.T) {
	for name, busy := range map[string]bool{"quiet": false, "while writing": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var net network
				relay := net.relay(t, "relay")
				p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
				room, _ := open(t, p, "room", "")
				settle()
				resume := relay.stall()
				defer resume()
				room.Bye("0a") // the last that is read
				if busy {
					room.Bye("0b")
				}
				time.Sleep(pingInterval + pongTimeout + 2*time.Second)
				if n := len(relay.connections()); n != 2 {
					t.Errorf("%d sockets", n)
				}
			})
		})
	}
}

func TestRelaysThatAreLeft(t *testing.T) {
	say := func(text string) func(*testRelay) {
		return func(r *testRelay) {
			r.answer = func(nostr.Envelope) []string { return []string{text} }
		}
	}
	status := func(code int) func(*testRelay) {
		return func(r *testRelay) {
			r.admit = func(w http.ResponseWriter) bool {
				w.WriteHeader(code)
				return false
			}
		}
	}
	for name, v := range map[string]struct {
		relay func(*testRelay)
		want  string // LeftReason; "": stays
	}{
		"pow":               {say(`["OK","x",false,"pow: 28 bits needed"]`), "proof of work"},
		"pow given":         {say(`["OK","x",true,"pow: 28 bits, thank you"]`), ""},
		"auth":              {say(`["CLOSED","x","auth-required: who are you"]`), "authentication"},
		"challenge alone":   {say(`["AUTH","challenge"]`), ""},
		"restricted":        {say(`["NOTICE","restricted: members only"]`), "permission"},
		"payment":           {say(`["OK","x",false,"blocked: pay 1000 sats"]`), "payment"},
		"blocked otherwise": {say(`["OK","x",false,"blocked: spam"]`), ""},
		"rate limit":        {say(`["OK","x",false,"rate-limited: slow down"]`), ""},
		"other error":       {say(`["CLOSED","x","error: database is down"]`), ""},
		"status 401":        {status(http.StatusUnauthorized), "authentication"},
		"status 403":        {status(http.StatusForbidden), ""},
		"status 402":        {status(http.StatusPaymentRequired), "payment"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var net network
				relay, other := net.relay(t, "relay"), net.relay(t, "other")
				v.relay(relay)
				var log bytes.Buffer
				p := newPool(t, Config{
					Relays:     []string{relay.url, other.url},
					HTTPClient: net.client(),
					Logger:     slog.New(slog.NewTextHandler(&log, nil)),
				})
				room, _ := open(t, p, "room", "")
				room.Host("0us")
				for range 60 {
					room.Announce("0us", "")
					time.Sleep(time.Minute)
				}
				check := func() {
					t.Helper()
					s := p.Status()[slices.IndexFunc(p.Status(), func(s RelayStatus) bool { return s.URL == relay.url })]
					left := s.State == Left
					if left != (v.want != "") || s.LeftReason != v.want {
						t.Errorf("status %+v", s)
					}
					if lines := strings.Count(log.String(), "relay left"); left && lines != 1 || !left && lines != 0 {
						t.Errorf("%d log lines: %s", lines, &log)
					}
					if n := len(relay.connections()); left && n != 1 {
						t.Errorf("%d sockets", n)
					}
				}
				check()
				if n := len(other.events()); n < 59 || n > 61 { // one more when it connects
					t.Errorf("the other relay got %d announces", n)
				}
				if v.want == "" {
					return
				}
				for _, urls := range [][]string{{other.url}, {other.url, relay.url}} {
					if err := p.SetRelays(urls); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Hour)
				check()
			})
		})
	}
}

func TestRateLimitedRelayGetsFewerAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		settle()
		relay.say(`["NOTICE","rate-limited: you are too fast"]`)
		settle()
		for i := range 4 {
			room.Host(fmt.Sprint("0peer", i))
		}
		for range 30 { // for a minute
			for i := range 4 {
				room.Announce(fmt.Sprint("0peer", i), "")
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Second) // between two announces
		counts := make(map[string]int)
		for _, content := range relay.events() {
			counts[content]++
		}
		if n := len(relay.events()); n < 10 || n > 12 {
			t.Errorf("%d announces in a minute", n)
		}
		if len(counts) != 4 {
			t.Errorf("not every peer had its turn: %v", counts)
		}
		before := len(relay.events())
		room.Announce("0peer0", "")
		room.Answer(relay.url, "0peer0", "them", "", "v=0")
		settle()
		if got := relay.events()[before:]; len(got) != 1 || !strings.Contains(got[0], `"answer"`) {
			t.Errorf("sent %q", got)
		}
		if s := status(t, p, relay.url); s.Counters.Lost != 0 || s.State != Connected {
			t.Errorf("status %+v", s)
		}

		time.Sleep(slowTime)
		before = len(relay.events())
		for i := range 4 {
			room.Announce(fmt.Sprint("0peer", i), "")
		}
		settle()
		if n := len(relay.events()) - before; n != 4 {
			t.Errorf("%d of 4 announces went at once after the pause", n)
		}
	})
}

func TestClosedSubscriptionIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		_, in := open(t, p, "room", "")
		settle()
		id := relay.reqs()[0].SubscriptionID
		for range 1000 {
			relay.say(`["CLOSED","` + id + `","error: shutting down"]`)
		}
		time.Sleep(retryClosed - time.Second)
		if n := len(relay.reqs()); n != 1 {
			t.Errorf("%d REQs at once", n)
		}
		time.Sleep(2 * time.Second)
		if n := len(relay.reqs()); n != 2 {
			t.Errorf("%d REQs", n)
		}
		relay.fanOut(newBrowser(t, "room", "them").announce())
		settle()
		if len(in.take()) != 1 {
			t.Error("the room hears nothing")
		}
	})
}

// A stalled relay: the policy of queue, and nobody else waits.
func TestOutboxOfAStalledRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay, other := net.relay(t, "relay"), net.relay(t, "other")
		p := newPool(t, Config{Relays: []string{relay.url, other.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		const peers = outboxLimit + 50
		for i := range peers {
			room.Host(fmt.Sprint("0peer", i))
		}
		settle()
		resume := relay.stall()
		room.Bye("0x") // is read
		settle()
		room.Bye("0y") // is being written
		settle()
		for i := range peers {
			room.Announce(fmt.Sprint("0peer", i), "")
		}
		settle()
		room.Announce(fmt.Sprint("0peer", peers-1), "") // replaces the one that waits
		settle()
		if n := status(t, p, relay.url).Counters.Lost; n != 50 {
			t.Errorf("%d announces were lost", n)
		}
		if n := len(other.events()); n != 2+peers+1 {
			t.Errorf("the other relay got %d events", n)
		}
		const answers = 10
		for i := range answers {
			room.Answer("", "0peer0", fmt.Sprint("them", i), "", "v=0")
		}
		settle()
		resume()
		settle()
		got := relay.events()[2:]
		if len(got) != outboxLimit || got[0] != fmt.Sprintf(`{"peerId":"0peer%d"}`, 50+answers) {
			t.Errorf("%d events, the first %s", len(got), got[0])
		}
		for _, content := range got[outboxLimit-answers:] {
			if !strings.Contains(content, `"answer"`) {
				t.Errorf("not an answer: %s", content)
			}
		}
		if n := status(t, p, relay.url).Counters.Lost; n != 50+answers {
			t.Errorf("%d messages were lost", n)
		}
	})
}

func TestOversizedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		_, in := open(t, p, "room", "")
		settle()
		b := newBrowser(t, "room", "them")
		relay.fanOut(b.event(RootTopic("room"), `{"peerId":"them","x":"`+strings.Repeat("x", 1<<20)+`"}`))
		relay.fanOut(b.announce())
		settle()
		if s := status(t, p, relay.url); s.Counters.Junk != 1 || s.Counters.Connects != 1 || len(in.take()) != 1 {
			t.Errorf("status %+v", s)
		}
		relay.say(strings.Repeat("x", maxSkipped+1))
		time.Sleep(2 * time.Second)
		if s := status(t, p, relay.url); s.Counters.Connects != 2 || s.State != Connected {
			t.Errorf("status %+v", s)
		}
	})
}

func TestJunkIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		_, in := open(t, p, "room", "")
		settle()
		ev := newBrowser(t, "room", "them").announce()
		id := relay.reqs()[0].SubscriptionID
		junk := []string{
			``, `x`, `{}`, `[]`, `["EVENT"]`, `["EVENT",{}]`, `["EVENT","` + id + `"]`, `["EVENT","` + id + `",7]`,
			`["EVENT","` + id + `",{"tags":[[}]`, `["HELLO","x"]`, `["OK","x"]`, `["CLOSED","x"]`,
			eventMessage("not-asked-for", ev),
			`["EVENT","` + id + `",{"extra":` + strings.Repeat("[", maxMessage-100) + `}]`,
		}
		for _, text := range junk {
			relay.say(text)
		}
		// Legal, and no business of ours.
		relay.say(`["EOSE","not-asked-for"]`)
		relay.say(`["CLOSED","not-asked-for","error: x"]`)
		relay.say(`["NOTICE","hello"]`)
		settle()
		s := status(t, p, relay.url)
		if s.Counters.Junk != uint64(len(junk)) || s.State != Connected || s.Counters.Connects != 1 {
			t.Errorf("status %+v, want %d junk", s, len(junk))
		}
		if s.LastError != "hello" || len(in.take()) != 0 {
			t.Errorf("last error %q", s.LastError)
		}
	})
}

// FuzzRelayMessage reads any message as if a relay sent it.
func FuzzRelayMessage(f *testing.F) {
	p, err := NewPool(Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close(context.Background()) })
	in := new(inbox)
	opened, err := p.Open("room", "", in.deliver)
	if err != nil {
		f.Fatal(err)
	}
	r := opened.(*room)
	r.Host("0us")
	b := newBrowser(f, "room", "them")
	f.Add([]byte(eventMessage("sub", b.announce())))
	f.Add([]byte(eventMessage("sub", b.offer("0us", "", "v=0"))))
	f.Add([]byte(strings.Replace(eventMessage("sub", b.announce()), `"tags":[`, `"tags":[null,[],`, 1)))
	f.Fuzz(func(t *testing.T, message []byte) {
		c := newClient(p, "ws://fuzz")
		defer c.kill()
		c.subs = map[string]*subscription{"sub": {room: r, asked: time.Now(), live: true}}
		err := c.handle(message)
		if _, ok := err.(demand); err != nil && !ok {
			t.Errorf("failed with %v", err)
		}
		n := c.snapshot().Counters
		if sum := n.Delivered + n.Duplicates + n.Stale + n.Odd + n.Sealed + n.Forged + n.Claimed + n.Overflow; sum != n.Received {
			t.Errorf("not every event is accounted for: %+v", n)
		}
	})
}

// Whoever knows only that relay waits for nothing else, and a relay that carries
// the topics of those announced there has forgotten them with the old socket.
func TestARelayThatConnectsIsToldWhoIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		steady, late := net.relay(t, "steady"), net.relay(t, "late")
		up := net.down(late)
		p := newPool(t, Config{Relays: []string{steady.url, late.url}, HTTPClient: net.client()})
		room, _ := open(t, p, "room", "")
		settle()
		for _, peer := range []string{"0here", "0silent", "0gone"} {
			room.Host(peer)
		}
		room.Announce("0here", "session")
		room.Announce("0gone", "session")
		room.Bye("0gone")
		settle()
		before := steady.events()

		up()
		time.Sleep(time.Minute)
		late.drop()
		time.Sleep(time.Minute)
		announce := `{"peerId":"0here","type":"session"}`
		if got := late.events(); !slices.Equal(got, []string{announce, announce}) {
			t.Errorf("two connections were told %q", got)
		}
		if got := late.messages(); !slices.Equal(got, []string{"REQ", "EVENT", "REQ", "EVENT"}) {
			t.Errorf("sent %v", got)
		}
		if got := steady.events(); len(got) != len(before) {
			t.Errorf("another relay was told %q again", got[len(before):])
		}
	})
}
