package genosrtc

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// Event is something that an operator may act on. Fields that do not apply are empty.
type Event struct {
	Name    string
	Room    string
	Peer    string // id
	Type    string // of a peer, as it says itself: "session", "superpeer", or empty for browsers
	Relay   string // URL
	Address string // of a client
	Reason  string
}

// Names of events.
const (
	RoomOpened     = "room_opened"
	RoomClosed     = "room_closed"     // but not by the end of the server
	PeerJoined     = "peer_joined"     // a session, or a browser or server with its first link to us
	PeerLeft       = "peer_left"       // for good, or with its last link to us
	SessionRefused = "session_refused" // with room, address and reason
	RelayUp        = "relay_up"        // but not for the embedded one
	RelayDown      = "relay_down"      // with the reason
	StoreTrouble   = "store_trouble"   // with the reason
	StoreRecovered = "store_recovered" // after all trouble has ended
)

// eventsWaiting is the number of events that may wait. Those beyond it are dropped and
// counted. Refusals, which anybody can cause, fill half of it at most.
const eventsWaiting = 1024

// events hands events to a function, which may take its time, in a goroutine of its
// own. Nil takes none.
type events struct {
	queue   chan Event
	dropped atomic.Uint64
	stop    context.CancelFunc
	done    chan struct{}
}

func newEvents(handle func(Event)) *events {
	if handle == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &events{queue: make(chan Event, eventsWaiting), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for {
			select {
			case e := <-q.queue:
				handle(e)
			case <-ctx.Done():
				return
			}
		}
	}()
	return q
}

// emit never waits.
func (q *events) emit(e Event) {
	if q == nil {
		return
	}
	if e.Name == SessionRefused && len(q.queue) >= eventsWaiting/2 {
		q.dropped.Add(1)
		return
	}
	select {
	case q.queue <- e:
	default:
		q.dropped.Add(1)
	}
}

// close waits for the event that is being handled, or for ctx; the others are dropped.
func (q *events) close(ctx context.Context) {
	if q == nil {
		return
	}
	q.stop()
	select {
	case <-q.done:
	case <-ctx.Done():
	}
}

func (q *events) lost() uint64 {
	if q == nil {
		return 0
	}
	return q.dropped.Load()
}

// presence is engine.Config.Presence.
func (q *events) presence(room string, change engine.PeerChange, p engine.Peer) {
	switch change {
	case engine.PeerJoin:
		q.emit(Event{Name: PeerJoined, Room: room, Peer: p.ID, Type: p.Type})
	case engine.PeerLeave:
		q.emit(Event{Name: PeerLeft, Room: room, Peer: p.ID, Type: p.Type})
	}
}

// refused is handler.Config.Refused.
func (q *events) refused(r handler.Refused) {
	q.emit(Event{Name: SessionRefused, Room: r.Room, Address: r.Address, Reason: r.Reason})
}

// lookEvery is how often relays and stores are looked at.
const lookEvery = time.Second

// watchHealth tells of relays and of the disk until ctx ends.
func (s *Server) watchHealth(ctx context.Context) {
	if s.events == nil {
		return
	}
	relays := make(map[string]signaling.RelayStatus)
	trouble := ""
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			relays = s.tellRelays(relays)
			trouble = s.tellStore(trouble)
		case <-ctx.Done():
			return
		}
	}
}

// tellRelays tells what has changed since before, and returns how it is now.
func (s *Server) tellRelays(before map[string]signaling.RelayStatus) map[string]signaling.RelayStatus {
	now := make(map[string]signaling.RelayStatus)
	for _, r := range s.pool.Status()[1:] { // the first is the embedded one
		now[r.URL] = r
		was, up := before[r.URL].State == signaling.Connected, r.State == signaling.Connected
		again := was && up && r.Counters.Connects != before[r.URL].Counters.Connects
		if was && (!up || again) {
			s.events.emit(Event{Name: RelayDown, Relay: r.URL, Reason: r.LastError})
		}
		if up && (!was || again) {
			s.events.emit(Event{Name: RelayUp, Relay: r.URL})
		}
	}
	return now
}

// tellStore tells of trouble that is not the one before, and returns it.
func (s *Server) tellStore(before string) string {
	now := strings.Join(s.storeTrouble(), "; ")
	switch {
	case now == before:
	case now == "":
		s.events.emit(Event{Name: StoreRecovered})
	default:
		s.events.emit(Event{Name: StoreTrouble, Reason: now})
	}
	return now
}
