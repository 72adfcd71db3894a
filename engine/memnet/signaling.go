package memnet

import (
	"slices"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Relay is the name of the one relay that signals come by.
const Relay = "memnet"

// maxSignals is how many signals may wait for an endpoint.
const maxSignals = 4096

// meeting is a GenosRTC room's signaling. It is guarded by the network's lock.
type meeting struct {
	all   map[*signalRoom]struct{}
	hosts map[string][]*signalRoom // by peer id
	census
}

// signalRoom is an endpoint's place in a room's signaling.
type signalRoom struct {
	endpoint *Endpoint
	meeting  *meeting
	room     string
	password string
	queue    queue[engine.Signal]
	peers    map[string]struct{} // hosted, guarded by the network's lock

	calls  sync.Mutex // held while a signal is delivered
	closed bool       // guarded by calls
}

// Open implements engine.Signaling.
func (e *Endpoint) Open(room, password string, deliver func(engine.Signal)) (engine.SignalingRoom, error) {
	n := e.net
	s := &signalRoom{endpoint: e, room: room, password: password, peers: make(map[string]struct{})}
	s.queue.schedule, s.queue.take = n.time(), func(sig engine.Signal) {
		s.calls.Lock()
		defer s.calls.Unlock()
		if !s.closed {
			deliver(sig)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.meeting = n.rooms[room]; s.meeting == nil {
		s.meeting = &meeting{all: make(map[*signalRoom]struct{}), hosts: make(map[string][]*signalRoom)}
		n.rooms[room] = s.meeting
	}
	s.meeting.all[s] = struct{}{}
	return s, nil
}

// Close implements engine.SignalingRoom.
func (s *signalRoom) Close() {
	n := s.endpoint.net
	n.mu.Lock()
	delete(s.meeting.all, s)
	for peer := range s.peers {
		s.unhost(peer)
	}
	if len(s.meeting.all) == 0 && n.rooms[s.room] == s.meeting {
		delete(n.rooms, s.room)
	}
	n.mu.Unlock()
	s.queue.end()
	s.calls.Lock()
	defer s.calls.Unlock()
	s.closed = true
}

// Host implements engine.SignalingRoom.
func (s *signalRoom) Host(peer string) {
	s.endpoint.net.mu.Lock()
	defer s.endpoint.net.mu.Unlock()
	if _, there := s.peers[peer]; !there {
		s.peers[peer] = struct{}{}
		s.meeting.hosts[peer] = append(s.meeting.hosts[peer], s)
	}
}

// Unhost implements engine.SignalingRoom.
func (s *signalRoom) Unhost(peer string) {
	s.endpoint.net.mu.Lock()
	defer s.endpoint.net.mu.Unlock()
	s.unhost(peer)
}

// unhost needs the network's lock.
func (s *signalRoom) unhost(peer string) {
	delete(s.peers, peer)
	hosts := s.meeting.hosts
	if hosts[peer] = slices.DeleteFunc(hosts[peer], func(h *signalRoom) bool { return h == s }); len(hosts[peer]) == 0 {
		delete(hosts, peer)
	}
}

// publish gives a signal to the others in the room who want it. A description
// sealed with another password does not arrive.
func (s *signalRoom) publish(sig engine.Signal) {
	sig.Relay, sig.Author = Relay, s.endpoint.name
	n := s.endpoint.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if sig.To != "" {
		for _, other := range s.meeting.hosts[sig.To] {
			if other != s && other.password == s.password {
				other.give(sig)
			}
		}
		return
	}
	if n.Census > 0 {
		s.meeting.count(n, sig)
		return
	}
	for other := range s.meeting.all {
		if other != s {
			other.give(sig)
		}
	}
}

// give has a signal be delivered, after the network's delay.
func (s *signalRoom) give(sig engine.Signal) {
	n := s.endpoint.net
	if s.queue.put(sig, n.now().Add(n.Delay)) > maxSignals {
		panic("memnet: too many signals wait for one endpoint")
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
