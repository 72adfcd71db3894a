package engine

import (
	"encoding/json"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// In a room with cells most peers have no link with the server's peer: what they say
// comes through the mesh, and so does what they are told. What one of them is told the
// frames carry to all, who pass it on without listening.

// maxFar is how many peers without a link are remembered; who was not heard for longest
// is forgotten first, and answered as if for the first time.
const maxFar = 4_096

func newFar() *lru.LRU[string, *asker] {
	far, err := lru.NewLRU[string, *asker](maxFar, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return far
}

// there tells whether a peer can still be told something.
func (m *Memory) there(a *asker) bool {
	if a.link != nil {
		return m.askers[a.link] == a
	}
	known, ok := m.far.Peek(a.peer)
	return ok && known == a && m.room.inMesh(a.peer)
}

// everybody are all peers, with a link or without.
func (m *Memory) everybody(yield func(*asker) bool) {
	for _, a := range m.askers {
		if !yield(a) {
			return
		}
	}
	for _, a := range m.far.Values() {
		if m.there(a) && !yield(a) {
			return
		}
	}
}

// heardFar takes a message of the mesh on the graph's channel. The actor calls it.
func (m *Memory) heardFar(peer string, data json.RawMessage) {
	c := &m.room.node.counters
	msg, err := graph.Decode(data)
	if err != nil {
		c.drop("graph: bad message")
		return
	}
	if msg.Bad > 0 {
		c.drop("graph: bad operations")
	}
	if len(msg.Ops) > 0 {
		m.room.toFull(peer, nil, ChannelGraph, Content{Kind: JSON, Data: data})
	}
	m.take(m.askerOf(peer), &msg)
}

// askerOf finds a peer that was heard through the mesh, be it that it has a link.
func (m *Memory) askerOf(peer string) *asker {
	if p := m.room.server.pairs[peer]; p != nil && p.live != nil {
		if a := m.askers[p.live]; a != nil {
			return a
		}
	}
	a, ok := m.far.Get(peer)
	if !ok {
		a = &asker{peer: peer, linked: m.room.now(), before: m.store.Staged() + 1, replied: true}
		m.far.Add(peer, a)
	}
	return a
}

// tellFar tells the peers without a link of a change.
func (m *Memory) tellFar(data []byte) {
	if to := m.farPeers(); len(to) > 0 {
		m.room.originate(m.room.server, farFrame(data, to), nil)
	}
}

// farPeers are those of the sealed roster without a link.
func (m *Memory) farPeers() (to []string) {
	r := m.room
	if !r.mesh.on || r.mesh.topology == nil {
		return nil
	}
	for _, id := range r.mesh.topology.IDs() {
		if p := r.server.pairs[id]; id != r.server.id && (p == nil || p.live == nil) && r.inMesh(id) {
			to = append(to, id)
		}
	}
	return to
}

func farFrame(data []byte, to []string) *cells.Frame {
	msg := cells.Message{Channel: ChannelGraph, Data: data, To: to}
	return &cells.Frame{Kind: cells.KindMsg, Data: cells.AppendMessage(nil, msg)}
}

// sealed asks a peer without a link what it has, one after each seal, that was not heard
// yet: what it said when it came may have reached nobody.
func (m *Memory) sealed() {
	for _, id := range m.farPeers() {
		if m.far.Contains(id) {
			continue
		}
		m.askerOf(id)
		m.room.originate(m.room.server, farFrame(graph.EncodeSync(m.replica.Last()), []string{id}), nil)
		return
	}
}

// putFar sends a message through the mesh, as put does by a link. It is under way until
// each link of ours that carries it has passed it on.
func (s *stream) putFar(data []byte) bool {
	if len(s.under) == 2 && !s.next() {
		return false
	}
	c := newCarried()
	m := s.memory
	if !m.room.post(func() {
		m.room.originate(m.room.server, farFrame(data, []string{s.to.peer}), &origin{carried: c})
		c.end()
	}) {
		return false
	}
	s.under = append(s.under, c.over)
	return true
}
