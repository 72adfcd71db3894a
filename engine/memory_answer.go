package engine

import (
	"context"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

const (
	// maxAnswers is how many peers of a room are answered at once; the others wait.
	maxAnswers = 4
	// answerPiece is the size, in bytes of JSON, of the messages that an answer is cut
	// into if it is too large for one.
	answerPiece = 256 << 10
	// answerPause is between two answers to a peer: each reads the graph, and what is
	// asked meanwhile is answered together.
	answerPause = time.Second
	// replyTime is how long a peer that knows more than we do is waited for before it
	// is sent everything: when it has shown what it has, the difference will do.
	replyTime = 300 * time.Millisecond
	// askAgain is when a peer is asked once more that has not said anything on the
	// channel: it may have begun to listen after its link had opened. maxAsks bounds it.
	askAgain = 2 * time.Second
	maxAsks  = 3
	// wholeAgain is how soon after everything a peer can get it again: one that comes
	// into a room asks at each of its links, and all hear it each time.
	wholeAgain = 10 * time.Second
	// missedAgain is when peers are asked for what the disk did not take.
	missedAgain = 10 * time.Second
	// buryAgain is when everybody is told a second time of removals that somebody did
	// not know of.
	buryAgain = 2 * time.Second
	// burialBurst is how many messages with removals may follow each other; then it
	// is one a second.
	burialBurst = 20
)

// asker is what is between the memory and a peer with a link.
type asker struct {
	peer     string
	link     *link // nil: it is in another cell
	linked   time.Time
	before   uint64 // the Seq of the graph then
	asks     int
	missed   bool      // it is asked for everything
	more     bool      // it was, since it may have more than its log
	spoke    bool      // it was heard on the channel
	replied  bool      // it has answered our question, or had time to
	showed   bool      // it has told some or all of what it has
	asking   bool      // it was heard to ask
	unasked  int       // how often it was told all the same
	answered uint64    // it has all up to this Seq, at least 1; 0: it was not answered yet
	whole    time.Time // when everything was last sent
	held     *graph.Timestamp
	short    bool            // of what was staged but not on the disk when it was answered
	told     time.Time       // when it was last answered
	newest   graph.Timestamp // of the nodes that it was told of
	waiting  *question
	working  *question
	rests    bool // between two answers
}

// question is what a peer is to be told: the difference to what it has (full), what
// changed after a Seq (since), or what is lacking below its time (at).
type question struct {
	full  *graph.FullState
	since uint64
	at    graph.Asker
	last  graph.Timestamp // the clock when the answer is begun
	tail  bool            // what has changed while another answer was made
	toAll bool            // in cells, with a link or without

	to     []*asker        // who is told, once the answer is begun
	names  []string        // through the mesh
	newest graph.Timestamp // of its nodes, once it is made
}

func (q *question) everything() bool { return q.full == nil && q.since == 0 }

// covers tells whether its answer is one for who asks by at.
func (q *question) covers(at graph.Timestamp) bool {
	return q.everything() && (q.at.Asked.IsZero() || !at.IsZero())
}

// all tells whether the peer has everything once it has the answer: not if it is told
// of a change before it has asked.
func (a *asker) all(q *question) bool { return q.since == 0 || a.answered > 0 }

// linked greets a peer: it is asked what we lack.
func (m *Memory) linked(l *link) {
	a := &asker{peer: l.pair.remote, link: l, linked: m.room.now(), before: m.store.Staged() + 1}
	m.askers[l] = a
	if f, ok := m.far.askers.Peek(a.peer); ok {
		m.far.askers.Remove(a.peer)
		if a.waiting = f.waiting; f.held != nil {
			m.asked(a, *f.held)
		}
	}
	m.ask(a)
	m.work()
}

func (m *Memory) unlinked(l *link) {
	if a := m.askers[l]; a != nil {
		m.gone(a, m.store.Staged())
		m.goOn(a)
	}
}

// gone forgets a peer whose link has ended, when the graph was at a Seq.
func (m *Memory) gone(a *asker, at uint64) {
	l := a.link
	if a.answered > 0 && !a.short && !l.unsent && a.working == nil && a.waiting == nil && a.held == nil {
		m.trust.left(a.peer, at)
	}
	delete(m.askers, l)
}

func (m *Memory) ask(a *asker) {
	if !m.there(a) || a.spoke || a.asks == maxAsks {
		return
	}
	a.asks++
	last := m.replica.Last()
	if a.missed {
		last = graph.Timestamp{}
	}
	m.putQuestion(a, last)
	m.room.after(askAgain, func() { m.ask(a) })
}

// askForMore asks a peer for everything, once, of whose log the first operation was new: it
// may have more than its log holds.
func (m *Memory) askForMore(a *asker) {
	if a.more {
		return
	}
	a.more = true
	m.putQuestion(a, graph.Timestamp{})
}

// putQuestion asks a peer with a link what is newer.
func (m *Memory) putQuestion(a *asker, than graph.Timestamp) {
	frames, err := m.encode(graph.EncodeSync(than))
	if err == nil {
		err = a.link.out.put(ChannelGraph, &outgoing{frames: frames})
	}
	if err != nil {
		m.room.node.counters.drop("graph: question not sent")
	}
}

// asked takes the question of a peer whose highest time is at.
func (m *Memory) asked(a *asker, at graph.Timestamp) {
	if a.link == nil {
		m.askedFar(a, at)
		return
	}
	now := m.room.now()
	switch {
	case a.working != nil && a.working.covers(at), at.IsZero() && now.Sub(a.whole) < wholeAgain:
		// The answer is on its way.
	case at.IsZero():
		m.queue(a, question{at: graph.Asker{Some: answersOnly(a.peer)}})
	case a.answered > 0 && (at.Compare(m.replica.Last()) >= 0 || a.answered >= m.store.Staged()):
		// What came since its last answer it has.
	case a.answered > 0:
		m.queue(a, question{since: a.answered})
	case a.held != nil && at.Compare(*a.held) >= 0:
		// What it asked first asks for more.
	case a.held != nil:
		a.held = &at
	case !a.replied && now.Sub(a.linked) < replyTime:
		a.held = &at
		m.room.after(replyTime, func() { m.replied(a) })
	default:
		m.queue(a, m.question(a, at))
	}
}

// question is what a peer with a link asks by at. In a room with cells its time proves
// nothing: what is live reaches it without us.
func (m *Memory) question(a *asker, at graph.Timestamp) question {
	before := a.before
	if m.room.mesh.on {
		before = 0
	}
	return question{at: m.trust.asker(a.peer, at, before)}
}

// replied goes on with a question that waited for the peer's own answer.
func (m *Memory) replied(a *asker) {
	a.replied = true
	if a.held != nil && a.link != nil && m.there(a) {
		at := *a.held
		a.held = nil
		m.queue(a, m.question(a, at))
	}
}

// compare has a peer that has shown all it has be sent what it lacks. If everything
// is on its way already, it will show again what it has, should that be more.
func (m *Memory) compare(a *asker, full *graph.FullState) {
	a.replied = true
	if a.link == nil && (a.waiting == nil || a.waiting.full == nil) && m.manyFull() {
		m.room.node.counters.drop("graph: too many full states from other cells")
		return
	}
	if a.link != nil {
		a.held = nil
	}
	if a.working == nil || !a.working.everything() {
		m.queue(a, question{full: full})
	}
}

// behind has a peer be sent later what came after a Seq.
func (m *Memory) behind(a *asker, since uint64) {
	m.queue(a, question{since: since, tail: true})
}

// queue notes a question. A peer has one at most that waits, the one that asks for
// most.
func (m *Memory) queue(a *asker, q question) {
	switch w := a.waiting; {
	case w == nil, q.full != nil:
		a.waiting = &q
	case w.full != nil:
	case w.since > 0 && q.since > 0:
		w.since, w.tail, w.toAll = min(w.since, q.since), w.tail && q.tail, w.toAll || q.toAll
	case q.since == 0 && (w.since > 0 || q.at.Asked.Compare(w.at.Asked) < 0):
		a.waiting = &q
	}
	m.work()
}

// work begins as many answers as may be under way, of which one goes through the mesh.
func (m *Memory) work() {
	for a := range m.everybody {
		if m.answering >= maxAnswers || m.room.closing {
			return
		}
		if a.waiting == nil || a.working != nil || a.rests || a.link == nil && m.far.busy {
			continue
		}
		q := a.waiting
		q.last, q.to = m.replica.Last(), []*asker{a}
		a.waiting, a.working = nil, q
		if a.link == nil {
			m.far.busy = true
			m.together(q)
			q.names = m.names(q)
		} else if a.all(q) {
			m.trust.begin(a.peer)
		}
		m.answering++
		head, began := m.store.Staged(), m.room.now()
		m.room.tasks.Go(func() {
			upTo, ok := m.answer(a, q, head)
			m.room.post(func() {
				m.answering--
				if a.link == nil {
					m.farPauses(began)
				}
				for _, a := range q.to {
					m.answered(a, q, head, upTo, ok)
				}
				m.work()
			})
		})
	}
}

// answered goes on after an answer that was begun at head, and told of all up to upTo.
func (m *Memory) answered(a *asker, q *question, head, upTo uint64, ok bool) {
	a.working, a.rests = nil, true
	m.room.after(answerPause, func() {
		a.rests = false
		m.work()
	})
	if !ok {
		return
	}
	a.told = m.room.now()
	if q.newest.After(a.newest) {
		a.newest = q.newest
	}
	if a.all(q) {
		if a.link != nil {
			m.trust.end(a.peer, upTo)
		}
		a.answered, a.short = max(a.answered, upTo, 1), upTo < head
	}
	if q.covers(graph.Timestamp{}) {
		a.whole = a.told
	}
	// What others changed meanwhile they may have told those that they had a
	// link with, of which this peer perhaps was none yet.
	switch {
	case upTo < head:
		m.later(a, upTo)
	case m.store.Staged() > head && !q.tail && m.there(a):
		m.queue(a, question{since: upTo, tail: true})
	}
}

// later tells a peer what came after a Seq, once the disk takes it.
func (m *Memory) later(a *asker, upTo uint64) {
	m.room.after(missedAgain, func() {
		switch {
		case !m.there(a):
		case m.store.Head() > upTo:
			m.queue(a, question{since: upTo, tail: true})
		default:
			m.later(a, upTo)
		}
	})
}

// answer tells a peer what it lacks of all up to head, or, where the disk fails, up to
// what that has. It returns the Seq, and whether the peer has it.
func (m *Memory) answer(a *asker, q *question, head uint64) (uint64, bool) {
	// The answer is made of what is on the disk.
	if err := m.store.Wait(context.Background(), head); err != nil {
		head = min(head, m.store.Head())
		m.room.log.Warn("a peer is answered from before the disk failed", "peer", a.peer, "error", err)
	}
	return head, m.tell(a, q, head)
}

// tell tells a peer what it lacks of the graph on the disk, which has all up to head.
func (m *Memory) tell(a *asker, q *question, head uint64) bool {
	s := &stream{memory: m, to: a}
	fresh := q.covers(graph.Timestamp{}) && !q.at.Some
	if messages := m.whole.of(head); messages != nil && fresh && a.link != nil {
		return s.putAll(messages)
	}
	answer, err := m.plan(q)
	if err != nil {
		m.room.log.Error("a peer is not answered", "peer", a.peer, "error", err)
		return false
	}
	if answer.Empty() {
		return true
	}
	q.newest = answer.Newest()
	var said [][][]byte
	for data, err := range answer.Batches(answerPiece) {
		if err != nil {
			m.room.log.Error("a peer is not answered to the end", "peer", a.peer, "error", err)
			return false
		}
		if a.link == nil {
			if !s.putFar(q, graph.Delta(data)) {
				return false
			}
			continue
		}
		frames, err := m.dense(graph.Delta(data))
		if err != nil {
			m.room.node.counters.drop("graph: too large for peers")
			continue
		}
		if !s.put(frames) {
			return false
		}
		if len(said) <= maxWholePieces {
			said = append(said, frames)
		}
	}
	if fresh && a.link != nil && len(said) <= maxWholePieces {
		m.whole.keep(head, said)
	}
	return s.flush()
}

// dense is encode for what answers a question.
func (m *Memory) dense(data []byte) ([][]byte, error) {
	return frame.EncodeDense(ChannelGraph, m.room.server.nextNonce(ChannelGraph), Content{Kind: JSON, Data: data})
}

// plan decides what a peer is told.
func (m *Memory) plan(q *question) (*graph.Answer, error) {
	scan := func(yield func(graph.Entry) bool) error { return m.store.Scan("", yield) }
	fetch := m.store.Committed
	switch {
	case q.full != nil:
		return graph.Against(scan, fetch, q.full)
	case q.since > 0:
		return graph.Since(scan, fetch, q.since, q.last)
	}
	return graph.NewAnswer(scan, fetch, q.at)
}
