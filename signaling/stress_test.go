package signaling

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// Over real sockets: rooms and peers come and go while relays are added,
// removed and cut, and in the end all works and nothing is left behind.
func TestChurnOverLoopback(t *testing.T) {
	var relays []*testRelay
	var urls []string
	for range 3 {
		r := &testRelay{conns: make(map[*websocket.Conn]map[string]nostr.Filters)}
		server := httptest.NewServer(r)
		defer server.Close()
		defer r.drop()
		r.url = strings.Replace(server.URL, "http", "ws", 1)
		relays, urls = append(relays, r), append(urls, r.url)
	}
	p := newPool(t, Config{Relays: urls[:2]})

	var churn sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		churn.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				room, err := p.Open(fmt.Sprint("room", i), "", func(engine.Signal) {})
				if err != nil {
					t.Error(err)
					return
				}
				peer := fmt.Sprintf("0peer%d-%d", i, round)
				room.Host(peer)
				room.Announce(peer, "session")
				room.Offer("", peer, "them", "session", "v=0")
				room.Answer(urls[round%3], peer, "them", "session", "v=1")
				room.Bye(peer)
				room.Unhost(peer)
				room.Close()
				p.Status()
			}
		})
	}
	for round := range 4 {
		added := round % 3
		if err := p.SetRelays([]string{urls[added], urls[(added+1)%3]}); err != nil {
			t.Error(err)
		}
		sent := len(relays[added].events())
		within(t, 30*time.Second, func() bool { return len(relays[added].events()) > sent })
		relays[(added+1)%3].drop()
	}
	close(stop)
	churn.Wait()

	if err := p.SetRelays(urls); err != nil {
		t.Fatal(err)
	}
	room, in := open(t, p, "last", "")
	defer room.Close()
	// A browser behind each relay announces itself until it is heard.
	heard := make(map[string]bool)
	within(t, 30*time.Second, func() bool {
		for i, r := range relays {
			r.fanOut(newBrowser(t, "last", fmt.Sprint("them", i)).announce())
		}
		for _, s := range in.take() {
			heard[s.From] = true
		}
		return len(heard) == len(relays)
	})
}

// within waits for a condition of the real world.
func within(t *testing.T, d time.Duration, condition func() bool) {
	t.Helper()
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.Now().Add(d); !condition(); <-ticks.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", d)
		}
	}
}
