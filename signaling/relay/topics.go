package relay

import (
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// topics knows whose events are carried: the root topics of the rooms that we
// are configured for, and the self topics of peers that were heard in them.
type topics struct {
	mu    sync.RWMutex
	roots map[string]string  // root topic: room
	rooms map[string]bool    // the configured ones
	selfs map[string]*selves // self topic
}

// selves is the self topic of a peer, kept while somebody speaks for it.
type selves struct {
	room   string
	owners int
}

func newTopics() *topics { return &topics{selfs: map[string]*selves{}} }

// setRooms replaces the databases whose rooms are carried.
func (t *topics) setRooms(databases []string) {
	roots, rooms := map[string]string{}, map[string]bool{}
	for _, name := range databases {
		for _, room := range []string{engine.AppRoom(name), engine.SyncRoom(name)} {
			roots[signaling.RootTopic(room)] = room
			rooms[room] = true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.roots, t.rooms = roots, rooms
}

// room returns the room that a topic belongs to, if it is carried.
func (t *topics) room(topic string) (string, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if room, ok := t.roots[topic]; ok {
		return room, true
	}
	if s := t.selfs[topic]; s != nil && t.rooms[s.room] {
		return s.room, true
	}
	return "", false
}

func (t *topics) keep(topic, room string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.selfs[topic]; s != nil {
		s.owners++
	} else {
		t.selfs[topic] = &selves{room, 1}
	}
}

func (t *topics) release(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.selfs[topic]
	if s.owners--; s.owners == 0 {
		delete(t.selfs, topic)
	}
}

// speaker is whoever brings the events of some peers: a connection, or this
// process. The self topics of those peers are carried while it lives; past a
// bound, the ones not heard for longest are forgotten. One goroutine at a time
// may use it.
type speaker struct {
	topics *topics
	limit  int
	peers  *simplelru.LRU[peerKey, string] // to self topic; nil while empty

	// Peers count for the address of a connection; nil for this process.
	address      *address
	addressLimit int
}

type peerKey struct{ room, peer string }

// note takes in what an event of these rooms says of its sender.
func (s *speaker) note(rooms []string, said signal) {
	if said.peer == "" {
		return
	}
	for _, room := range rooms {
		if said.bye {
			s.left(room, said.peer)
		} else {
			s.heard(room, said.peer)
		}
	}
}

// heard notes that a peer spoke in a room.
func (s *speaker) heard(room, peer string) {
	key := peerKey{room, peer}
	if s.peers == nil {
		// The only error is a size that is not positive.
		s.peers, _ = simplelru.NewLRU(max(s.limit, 1), s.forget)
	}
	if _, ok := s.peers.Get(key); ok {
		return
	}
	if s.address != nil && !s.address.take(1, s.addressLimit) {
		return
	}
	topic := signaling.SelfTopic(room, peer)
	s.topics.keep(topic, room)
	s.peers.Add(key, topic)
}

func (s *speaker) forget(_ peerKey, topic string) {
	s.topics.release(topic)
	if s.address != nil {
		s.address.give(1)
	}
}

// left notes that a peer said goodbye to a room.
func (s *speaker) left(room, peer string) {
	if s.peers != nil {
		s.peers.Remove(peerKey{room, peer})
	}
}

// end forgets all peers.
func (s *speaker) end() {
	if s.peers != nil {
		s.peers.Purge()
	}
}
