package signaling

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// memoryRelay is the least that Local promises; package relay has the real
// one. It has one goroutine for each subscription, as that has.
type memoryRelay struct {
	mu        sync.Mutex
	subs      map[*memorySub]bool
	audience  map[string]int
	published []*nostr.Event
}

type memorySub struct {
	filters   nostr.Filters
	events    chan *nostr.Event
	cancelled chan struct{}
}

func (m *memoryRelay) Subscribe(filters nostr.Filters, deliver func(*nostr.Event)) func() {
	s := &memorySub{filters, make(chan *nostr.Event, 100), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case ev := <-s.events:
				deliver(ev)
			case <-s.cancelled:
				return
			}
		}
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.subs == nil {
		m.subs = make(map[*memorySub]bool)
	}
	m.subs[s] = true
	return sync.OnceFunc(func() {
		m.mu.Lock()
		delete(m.subs, s)
		m.mu.Unlock()
		close(s.cancelled)
		<-done
	})
}

func (m *memoryRelay) Publish(ev *nostr.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.published = append(m.published, ev)
	for s := range m.subs {
		if s.filters.Match(ev) {
			s.events <- ev
		}
	}
}

func (m *memoryRelay) Audience(topic string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.audience[topic]
}

func (m *memoryRelay) topics() (topics []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.subs {
		for _, f := range s.filters {
			topics = append(topics, f.Tags["x"]...)
		}
	}
	slices.Sort(topics)
	return topics
}

func (m *memoryRelay) contents() (contents []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ev := range m.published {
		contents = append(contents, ev.Content)
	}
	return contents
}

func TestRelayInThisProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := &memoryRelay{audience: make(map[string]int)}
		p := newPool(t, Config{Local: local, LocalName: "here"})
		room, in := open(t, p, "room", "secret")
		room.Host("0us")
		settle()
		want := []string{RootTopic("room"), SelfTopic("room", "0us")}
		slices.Sort(want)
		if got := local.topics(); !slices.Equal(got, want) {
			t.Errorf("subscribed %v", got)
		}

		// Nobody is there, nothing is signed.
		room.Announce("0us", "superpeer")
		room.Answer("here", "0us", "them", "superpeer", "v=1")
		settle()
		room.Bye("0us")
		room.Host("0us")
		settle()
		if got := local.contents(); len(got) != 0 || p.Stats() != (Stats{Unheard: 3}) {
			t.Errorf("published %v, %+v", got, p.Stats())
		}

		local.mu.Lock()
		maps.Copy(local.audience, map[string]int{RootTopic("room"): 1, SelfTopic("room", "them"): 1})
		local.mu.Unlock()
		b := newBrowser(t, "room", "them")
		local.Publish(b.announce())
		settle()
		local.Publish(b.offer("0us", "secret", "v=0"))
		settle()
		signals := []engine.Signal{
			{Kind: engine.Announce, Relay: "here", From: "them", Author: b.author()},
			{Kind: engine.Offer, Relay: "here", From: "them", To: "0us", SDP: "v=0", Author: b.author()},
		}
		if got := in.take(); !slices.Equal(got, signals) {
			t.Errorf("delivered %+v", got)
		}
		room.Announce("0us", "superpeer")
		room.Answer("here", "0us", "them", "superpeer", "v=1")
		room.Answer("here", "0us", "nobody", "superpeer", "v=1")
		settle()
		local.mu.Lock()
		ours := local.published[2:]
		local.mu.Unlock()
		if len(ours) != 2 || ours[0].Content != `{"peerId":"0us","type":"superpeer"}` || !genuine(ours[1]) || ours[1].PubKey != p.author {
			t.Errorf("published %v", ours)
		}
		if got := in.take(); len(got) != 0 {
			t.Errorf("our own came back: %v", got)
		}
		if s := status(t, p, "here"); s.State != Connected || s.Counters != (Counters{Sent: 2, Received: 2, Delivered: 2}) {
			t.Errorf("status %+v", s)
		}

		room.Close()
		settle()
		if got := local.topics(); len(got) != 0 {
			t.Errorf("still subscribed: %v", got)
		}
	})
}

// With a relay of each kind, an event that both bring is delivered once, and
// one signature serves both.
func TestLocalAndRemoteRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		remote := net.relay(t, "relay")
		local := &memoryRelay{audience: map[string]int{RootTopic("room"): 1}}
		p := newPool(t, Config{Local: local, Relays: []string{remote.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		room.Host("0us")
		settle()
		ev := newBrowser(t, "room", "them").announce()
		remote.fanOut(ev)
		local.Publish(ev)
		settle()
		if got := in.take(); len(got) != 1 {
			t.Errorf("delivered %+v", got)
		}
		room.Announce("0us", "")
		settle()
		if got := remote.events(); len(got) != 1 || len(local.contents()) != 2 {
			t.Errorf("sent %v and %v", got, local.contents())
		}
		if s := p.Status(); len(s) != 2 || s[0].URL != "local" || s[1].URL != remote.url {
			t.Errorf("status %+v", s)
		}
	})
}

// A peer that comes or goes loses nothing of the others.
func TestLocalSubscriptionHasNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := &memoryRelay{}
		p := newPool(t, Config{Local: local})
		room, in := open(t, p, "room", "")
		settle()
		const events = 50
		var all []*nostr.Event
		for range events {
			all = append(all, newBrowser(t, "room", "them").announce())
		}
		go func() {
			for range 20 * events {
				room.Host("0us")
				room.Unhost("0us")
			}
		}()
		for _, ev := range all {
			local.Publish(ev)
		}
		settle()
		if got := len(in.take()); got != events {
			t.Errorf("%d of %d events came", got, events)
		}
	})
}
