package genosrtc

import (
	"context"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// place is an address at which a server has the room "demo". It is known
// before the server starts, so that servers can name each other's relays.
type place struct {
	t        *testing.T
	addr     string
	password string
	server   *Server
	room     *engine.Room
}

func newPlace(t *testing.T) *place {
	t.Helper()
	l, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &place{t: t, addr: l.Addr().String()}
}

// start starts the server, with the other's relay beside its own.
func (p *place) start(other *place) {
	p.t.Helper()
	p.server = start(p.t, Config{Rooms: []Room{{Name: "demo", Password: p.password}}, Relays: []string{"ws://" + other.addr + "/genosrtc/relay"}})
	h, err := p.server.Handler(Site{})
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	web := &http.Server{Handler: h}
	go web.Serve(l)
	p.t.Cleanup(func() { web.Close() })
	p.room, _ = p.server.node.Room("demo")
}

// member is a seat that remembers what it was told.
type member struct {
	*engine.Attachment

	mu    sync.Mutex
	peers map[string]bool // that it is connected with
	heard map[string]int  // messages, by sender
}

func (p *place) join() *member {
	p.t.Helper()
	seat, peers, err := p.room.Join(p.t.Context(), engine.SeatConfig{})
	if err != nil {
		p.t.Fatal(err)
	}
	m := &member{Attachment: seat, peers: make(map[string]bool), heard: make(map[string]int)}
	for _, peer := range peers {
		m.peers[peer.ID] = true
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			events, err := seat.Next(context.Background(), nil)
			if err != nil {
				return
			}
			m.note(events)
		}
	})
	p.t.Cleanup(func() { seat.Leave(); reading.Wait() })
	return m
}

func (m *member) note(events []engine.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		switch e := e.(type) {
		case engine.PeerEvent:
			switch e.Change {
			case engine.PeerJoin:
				m.peers[e.Peer.ID] = true
			case engine.PeerLeave:
				delete(m.peers, e.Peer.ID)
			}
		case *engine.Message:
			m.heard[e.From]++
		}
	}
}

func (m *member) connected() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.peers)
}

func (m *member) hearings() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.heard)
}

// Each server has its own relay and the other's: their peers find each other as
// soon as the relays are reached, and what goes by two relays comes once. The
// second server is late, so that the first has to come back for its relay.
func TestTwoServersAreOneRoom(t *testing.T) {
	const seats = 3
	one, two := newPlace(t), newPlace(t)
	var members []*member
	for _, p := range []*place{one, two} {
		p.start(map[*place]*place{one: two, two: one}[p])
		for range seats {
			members = append(members, p.join())
		}
	}
	began := time.Now()
	// A machine that others want too takes its time for handshakes.
	for connected := 0; connected < len(members)*(2*seats+1); time.Sleep(10 * time.Millisecond) {
		connected = 0
		for _, m := range members {
			connected += m.connected()
		}
		if time.Since(began) > 3*time.Minute {
			t.Fatalf("%d of %d connections after 3 minutes", connected, len(members)*(2*seats+1))
		}
	}
	t.Logf("full mesh of %d links after %v", (seats+1)*(seats+1), time.Since(began).Round(time.Millisecond))

	want := make(map[string]int)
	for _, m := range members {
		want[m.ID()] = 5
		for range 5 {
			err := m.Send(t.Context(), engine.Outgoing{Channel: "chat", Content: engine.Content{Kind: engine.Text, Data: []byte("hello")}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range members {
		others := maps.Clone(want)
		delete(others, m.ID())
		testclient.Eventually(t, "all hear all", func() bool { return maps.Equal(m.hearings(), others) })
	}
}
