package memnet

import (
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Relay is the name of the one relay that signals come by.
const Relay = "memnet"

// signalRoom is an endpoint's place in a room's signaling.
type signalRoom struct {
	endpoint *Endpoint
	room     string
	password string
	deliver  func(engine.Signal)

	queue chan timedSignal
	stop  chan struct{}
	done  chan struct{}

	mu    sync.Mutex
	hosts map[string]bool
}

type timedSignal struct {
	engine.Signal
	at time.Time
}

// Open implements engine.Signaling.
func (e *Endpoint) Open(room, password string, deliver func(engine.Signal)) (engine.SignalingRoom, error) {
	s := &signalRoom{
		endpoint: e, room: room, password: password, deliver: deliver,
		queue: make(chan timedSignal, 4096),
		stop:  make(chan struct{}), done: make(chan struct{}),
		hosts: make(map[string]bool),
	}
	n := e.net
	n.mu.Lock()
	if n.rooms[room] == nil {
		n.rooms[room] = make(map[*signalRoom]struct{})
	}
	n.rooms[room][s] = struct{}{}
	n.mu.Unlock()
	go s.run()
	return s, nil
}

func (s *signalRoom) run() {
	defer close(s.done)
	for {
		select {
		case t := <-s.queue:
			n := s.endpoint.net
			if wait := t.at.Sub(n.now()); wait > 0 {
				over := make(chan struct{})
				stop := n.time().clock.AfterFunc(wait, func() { close(over) })
				select {
				case <-over:
				case <-s.stop:
					stop()
					return
				}
			}
			s.deliver(t.Signal)
		case <-s.stop:
			return
		}
	}
}

// Close implements engine.SignalingRoom.
func (s *signalRoom) Close() {
	n := s.endpoint.net
	n.mu.Lock()
	_, open := n.rooms[s.room][s]
	delete(n.rooms[s.room], s)
	n.mu.Unlock()
	if open {
		close(s.stop)
	}
	<-s.done
}

// Host implements engine.SignalingRoom.
func (s *signalRoom) Host(peer string) { s.setHost(peer, true) }

// Unhost implements engine.SignalingRoom.
func (s *signalRoom) Unhost(peer string) { s.setHost(peer, false) }

func (s *signalRoom) setHost(peer string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[peer] = on
}

func (s *signalRoom) hostsPeer(peer string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts[peer]
}

// publish gives a signal to the others in the room who want it. A description
// sealed with another password does not arrive.
func (s *signalRoom) publish(sig engine.Signal) {
	sig.Relay, sig.Author = Relay, s.endpoint.name
	n := s.endpoint.net
	at := n.now().Add(n.Delay)
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.rooms[s.room] {
		if other == s || (sig.To != "" && (!other.hostsPeer(sig.To) || other.password != s.password)) {
			continue
		}
		select {
		case other.queue <- timedSignal{sig, at}:
		default:
			panic("memnet: 4096 signals wait for one endpoint")
		}
	}
}

// Announce implements engine.SignalingRoom.
func (s *signalRoom) Announce(peer, typ string) {
	s.publish(engine.Signal{Kind: engine.Announce, From: peer, Type: typ})
}

// Bye implements engine.SignalingRoom.
func (s *signalRoom) Bye(peer string) {
	s.publish(engine.Signal{Kind: engine.Bye, From: peer})
}

// Offer implements engine.SignalingRoom.
func (s *signalRoom) Offer(_, from, to, typ, sdp string) {
	s.publish(engine.Signal{Kind: engine.Offer, From: from, To: to, Type: typ, SDP: sdp})
}

// Answer implements engine.SignalingRoom.
func (s *signalRoom) Answer(_, from, to, typ, sdp string) {
	s.publish(engine.Signal{Kind: engine.Answer, From: from, To: to, Type: typ, SDP: sdp})
}
