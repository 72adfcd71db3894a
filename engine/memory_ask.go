package engine

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

const (
	// farAskEvery is between two questions of ours through the mesh: everybody hears the
	// reply. maxFarAsks is how many follow a seal, or a reply that had something new.
	farAskEvery = 3 * time.Second
	maxFarAsks  = 16
	// unaskedAfter is when who has not asked since a seal is told what there is.
	// unaskedAgain is until that goes through the mesh once more.
	unaskedAfter = 6 * time.Second
	unaskedAgain = 20 * time.Second
	// longLog is the number of operations from which on a page that has new ones may have
	// more than are in its log: it is asked for everything.
	longLog = 50
)

// sealed has peers be asked what they have, and be told what we have, that have not asked:
// what they said before, and until they had their new links, may have reached nobody, and
// pages whose links have opened before the seal do not say it again.
func (m *Memory) sealed() {
	for a := range m.everybody {
		a.showed = false
		if a.link == nil {
			a.asks = 0
		}
	}
	m.room.after(farAskEvery, func() {
		for _, a := range m.askers {
			if !a.showed {
				a.spoke, a.asks = false, maxAsks-1 // once more
				m.ask(a)
			}
		}
	})
	m.room.after(unaskedAfter, func() {
		m.tellUnasked()
		m.settled()
	})
	m.askOthers()
}

func (m *Memory) tellUnasked() {
	busy := m.far.busy
	m.far.busy = true // until all are known that are told together
	again := false
	for _, a := range m.askers {
		m.unasked(a, 1)
	}
	for _, id := range m.farPeers() {
		again = m.unasked(m.askerOf(id), 2) || again // the mesh may lose the first
	}
	m.far.busy = busy
	m.work()
	if again {
		m.room.after(unaskedAgain, m.tellUnasked)
	}
}

// unasked tells a peer in cells everything that has not asked, or what it is not known to
// have; so often at most.
func (m *Memory) unasked(a *asker, times int) bool {
	if !m.room.mesh.on || a.asking || a.unasked >= times || a.unasked == 0 && a.answered > 0 ||
		a.held != nil || a.waiting != nil || a.working != nil || answersOnly(a.peer) {
		return false
	}
	a.unasked++
	m.queue(a, question{at: m.trust.asker(a.peer, m.replica.Last(), 0)})
	return true
}

// askOthers has some peers without a link be asked, as sealed does.
func (m *Memory) askOthers() {
	m.far.toAsk = nil
	for _, id := range m.farPeers() {
		if !m.asksFar(id) {
			continue
		}
		if m.far.toAsk = append(m.far.toAsk, id); len(m.far.toAsk) == maxFarAsks {
			break
		}
	}
	m.askFarSoon()
}

// asksFar tells whether a peer is to be asked through the mesh.
func (m *Memory) asksFar(id string) bool {
	a, ok := m.far.askers.Peek(id)
	return m.linkOf(id) == nil && m.room.inMesh(id) && (!ok || a.asks == 0 && !a.showed)
}

func (m *Memory) askFarSoon() {
	if len(m.far.toAsk) > 0 && !m.far.asking {
		m.far.asking = true
		m.room.after(farAskEvery, m.askFar)
	}
}

func (m *Memory) askFar() {
	m.far.asking = false
	for len(m.far.toAsk) > 0 {
		id := m.far.toAsk[0]
		m.far.toAsk = m.far.toAsk[1:]
		if m.asksFar(id) {
			m.askerOf(id).asks++
			m.askThrough(id, m.replica.Last())
			break
		}
	}
	m.askFarSoon()
}

func (m *Memory) askThrough(peer string, last graph.Timestamp) {
	m.sendFar(cells.Message{Channel: ChannelGraph, Data: graph.EncodeSync(last), To: []string{peer}}, nil)
}
