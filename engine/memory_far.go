package engine

import (
	"hash/maphash"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// In a room with cells most peers have no link with the server's peer: what they say
// comes through the mesh, and so does what they are told. What some of them are told the
// frames carry to all, who pass it on without listening. So one answer at a time goes
// that way, to all who wait for the like.
//
// The mesh may lose frames, and it brings live operations to peers that lack what is
// older. So no peer in cells is believed by its timestamp, and one that asks again by an
// older one than its answer had gets that once more.

const (
	// maxFar is how many peers without a link are remembered; who was not heard for
	// longest is forgotten first, and answered as if for the first time.
	maxFar = 4_096
	// farWait is how long a question waits that came through the mesh: its sender may be
	// about to have a link with us, and asks at each of its links.
	farWait = 2 * time.Second
	// farPause is between two answers through the mesh, at least. An answer that took
	// longer is followed by as long a pause.
	farPause = 2 * time.Second
	// maxFarFull is how many full states from other cells may wait to be compared.
	maxFarFull = 16
	// maxListed is how many peers a frame names; then it is for all.
	maxListed = 1_000
)

// far is what the memory knows of peers in other cells. It belongs to the actor.
type far struct {
	askers  *lru.LRU[string, *asker] // by peer id
	repeats *lru.LRU[uint64, time.Time]
	seed    maphash.Seed
	waiting bool     // some have asked
	busy    bool     // an answer is under way, or a pause after it
	toAsk   []string // peers
	asking  bool     // soon
}

func newFar() far {
	return far{askers: newLRU[string, *asker](maxFar, nil), repeats: newLRU[uint64, time.Time](maxRepeats, nil), seed: maphash.MakeSeed()}
}

// there tells whether a peer can still be told something.
func (m *Memory) there(a *asker) bool {
	if a.link != nil {
		return m.askers[a.link] == a
	}
	if a == m.others {
		return m.room.mesh.on
	}
	known, ok := m.far.askers.Peek(a.peer)
	return ok && known == a && m.room.inMesh(a.peer)
}

// everybody are all peers, with a link or without.
func (m *Memory) everybody(yield func(*asker) bool) {
	for _, a := range m.askers {
		if !yield(a) {
			return
		}
	}
	if !m.room.mesh.on || !yield(m.others) {
		return
	}
	for _, a := range m.far.askers.Values() {
		if m.there(a) && !yield(a) {
			return
		}
	}
}

// linkOf is the asker of a peer with a link; nil if it has none.
func (m *Memory) linkOf(peer string) *asker {
	if p := m.room.server.pairs[peer]; p != nil && p.live != nil {
		return m.askers[p.live]
	}
	return nil
}

// askerOf finds a peer that was heard through the mesh, be it that it has a link. Who is
// not in the room is not remembered: anybody can claim to be anybody.
func (m *Memory) askerOf(peer string) *asker {
	if a := m.linkOf(peer); a != nil {
		return a
	}
	a, ok := m.far.askers.Get(peer)
	if !ok {
		a = &asker{peer: peer, linked: m.room.now()}
		if !m.room.inMesh(peer) {
			m.room.node.counters.drop("graph: of a peer that is not in the room")
			return a
		}
		m.far.askers.Add(peer, a)
	}
	return a
}

// goOn has a peer whose link has ended be told the rest through the mesh: newcomers have a
// link until the others have sealed.
func (m *Memory) goOn(a *asker) {
	q := a.waiting
	if q == nil {
		q = a.working
	}
	if q == nil || a.link.left.Load() || !m.room.mesh.on || !m.room.inMesh(a.peer) {
		return
	}
	f := m.askerOf(a.peer)
	f.answered, f.newest = a.answered, a.newest
	m.queue(f, question{full: q.full, since: q.since, at: q.at})
}

// heardFar takes a message of the mesh on the graph's channel, to all or to us. The actor
// calls it.
func (m *Memory) heardFar(peer string, msg *cells.Message) {
	data := msg.Data
	c := &m.room.node.counters
	if m.repeated(peer, data) {
		c.drop("graph: the same again")
		return
	}
	said, err := graph.Decode(data)
	if err != nil {
		c.drop("graph: bad message")
		return
	}
	if said.Bad > 0 {
		c.drop("graph: bad operations")
	}
	if len(said.Ops) > 0 {
		m.room.toFull(peer, nil, ChannelGraph, Content{Kind: JSON, Data: data})
	}
	a := m.askerOf(peer)
	if m.take(a, &said, msg.All) {
		m.askOthers() // they may have something new too
		if len(said.Delta) >= longLog && a.link == nil && a.asks == 1 {
			a.asks++
			m.askThrough(a.peer, graph.Timestamp{})
		}
	}
}

// askedFar takes the question of a peer without a link. It is answered after a while,
// together with others; by a link, if there is one then.
func (m *Memory) askedFar(a *asker, at graph.Timestamp) {
	if a.held == nil || at.Compare(*a.held) < 0 {
		a.held = &at
	}
	if !m.far.waiting {
		m.far.waiting = true
		m.room.after(farWait, m.takeFar)
	}
}

func (m *Memory) takeFar() {
	m.far.waiting = false
	busy := m.far.busy
	m.far.busy = true // until all are known that are answered together
	for _, a := range m.far.askers.Values() {
		if a.held == nil {
			continue
		}
		at := *a.held
		a.held = nil
		if m.there(a) {
			m.farQuestion(a, at)
		}
	}
	m.far.busy = busy
	m.work()
}

func (m *Memory) farQuestion(a *asker, at graph.Timestamp) {
	switch {
	case a.working != nil && a.working.everything():
		// The answer is on its way.
	case a.answered > 0 && (at.Compare(a.newest) >= 0 || m.room.now().Sub(a.told) < wholeAgain):
		// It has the answer, or will have it.
		if a.answered < m.store.Staged() && at.Compare(m.replica.Last()) < 0 {
			m.queue(a, question{since: a.answered})
		} else {
			m.room.node.counters.drop("graph: asked again")
		}
	default:
		m.queue(a, question{at: m.trust.asker(a.peer, at, 0)})
	}
}

// together has a question be answered for all without a link who wait for the like.
func (m *Memory) together(q *question) {
	for _, a := range m.far.askers.Values() {
		if a.waiting == nil || a.working != nil || a.rests || len(q.to) == maxListed || !m.there(a) {
			continue
		}
		if q.join(a.waiting) {
			a.waiting, a.working = nil, q
			q.to = append(q.to, a)
		}
	}
}

// names are whom the frames of an answer name; nil are all. Those who are being told
// otherwise are told of changes after that.
func (m *Memory) names(q *question) (names []string) {
	if q.toAll {
		return nil
	}
	if q.to[0] != m.others {
		for _, a := range q.to {
			names = append(names, a.peer)
		}
		return names
	}
	if m.room.mesh.topology == nil || m.room.mesh.topology.Len() > maxListed {
		return nil
	}
	names = []string{}
	for _, id := range m.farPeers() {
		if a, ok := m.far.askers.Peek(id); !ok || a.working == nil || a.working == q {
			names = append(names, id)
		}
	}
	return names
}

// join has a question ask for what another does too, if they are alike.
func (q *question) join(other *question) bool {
	switch {
	case q.since > 0 && other.since > 0:
		q.since, q.tail, q.toAll = min(q.since, other.since), q.tail && other.tail, q.toAll || other.toAll
	case q.everything() && other.everything() && q.at.Had == 0 && other.at.Had == 0:
		if other.at.Asked.After(q.at.Asked) {
			q.at.Asked = other.at.Asked
		}
		q.at.Some = q.at.Some || other.at.Some
	default:
		return false
	}
	return true
}

// farPauses begins the pause after an answer that began at some time.
func (m *Memory) farPauses(began time.Time) {
	m.room.after(max(farPause, m.room.now().Sub(began)), func() {
		m.far.busy = false
		m.work()
	})
}

// manyFull tells whether no more full states from other cells can wait.
func (m *Memory) manyFull() bool {
	n := 0
	for _, a := range m.far.askers.Values() {
		if a.waiting != nil && a.waiting.full != nil {
			n++
		}
	}
	return n >= maxFarFull
}

// tellFar tells the peers without a link of a change, and returns those that are not to be
// told now.
func (m *Memory) tellFar(data []byte, told func(*asker) bool) (later []*asker) {
	if !m.anyFar() {
		return nil
	}
	wait := make(map[string]bool)
	for a := range m.everybody {
		if a != m.others && !told(a) {
			wait[a.peer] = true
			if a.link == nil {
				later = append(later, a)
			}
		}
	}
	msg := cells.Message{Channel: ChannelGraph, Data: data, All: true}
	if n := m.room.mesh.topology.Len(); len(wait) > 0 && n <= maxListed {
		msg.All, msg.To = false, []string{}
		for _, id := range m.farPeers() {
			if !wait[id] {
				msg.To = append(msg.To, id)
			}
		}
		if len(msg.To) == 0 {
			return later
		}
	}
	m.sendFar(msg, nil)
	return later
}

// anyFar tells whether there are peers without a link in the sealed roster.
func (m *Memory) anyFar() bool {
	r := m.room
	return r.mesh.on && r.mesh.topology != nil && r.mesh.topology.Len() > len(r.hosted)+len(m.askers) || len(m.farPeers()) > 0
}

// farPeers are those.
func (m *Memory) farPeers() (to []string) {
	r := m.room
	if !r.mesh.on || r.mesh.topology == nil {
		return nil
	}
	for _, id := range r.mesh.topology.IDs() {
		if id != r.server.id && m.linkOf(id) == nil && r.inMesh(id) {
			to = append(to, id)
		}
	}
	return to
}

func (m *Memory) sendFar(msg cells.Message, o *origin) {
	m.room.originate(m.room.server, &cells.Frame{Kind: cells.KindMsg, Data: cells.AppendMessage(nil, msg)}, o)
}

// putFar sends a message through the mesh, as put does by a link. It is under way until
// each link of ours that carries it has passed it on.
func (s *stream) putFar(q *question, data []byte) bool {
	if len(s.under) == 2 && !s.next() {
		return false
	}
	c := newCarried()
	m := s.memory
	if !m.room.post(func() {
		m.sendFar(cells.Message{Channel: ChannelGraph, Data: data, To: q.names, All: q.names == nil}, &origin{carried: c})
		c.end()
	}) {
		return false
	}
	s.under = append(s.under, c.over)
	return true
}
