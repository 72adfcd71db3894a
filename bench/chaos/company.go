package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// The channels: what is said to everybody, to some, and to one.
var channels = []string{"all", "few", "one"}

// few is how many "few" are.
const few = 5

// member is one session of a company.
type member struct {
	number int
	group  *group
	room   *client.Room
	id     string
	fail   func(error)

	received atomic.Int64
	expected atomic.Int64

	mu      sync.Mutex
	sent    map[string]int             // by channel
	said    map[uint64]int             // the number of a message to all, by seq
	heard   map[string]map[string]int  // by channel and sender
	results map[string]map[uint64]bool // by peer: seqs that did not reach it
	linked  map[string]map[uint64]bool // by page: seqs that were sent while it was linked
	resumed int
	files   map[uint64]*pattern // that are to come, by the sender's number
	done    chan error
}

// group is those of one room.
type group struct {
	name    string
	members []*member
	byID    map[string]*member
}

// joinGroup joins n sessions, numbered from first.
func joinGroup(ctx context.Context, s *server, k *cutter, name string, first, n int, fail func(error)) (*group, error) {
	g := &group{name: name, byID: map[string]*member{}}
	for i := range n {
		m := &member{number: first + i, group: g, fail: fail, sent: map[string]int{}, said: map[uint64]int{}, heard: map[string]map[string]int{},
			results: map[string]map[uint64]bool{}, linked: map[string]map[uint64]bool{}, files: map[uint64]*pattern{}, done: make(chan error, 100)}
		for _, c := range channels {
			m.heard[c] = map[string]int{}
		}
		r, err := client.Dial(ctx, s.url(), name, client.Options{HTTPClient: k.client, Notify: m.notify, Accept: m.accept, JSON: i%4 == 3})
		if err != nil {
			return g, err
		}
		m.room, m.id = r, r.Peer()
		g.members = append(g.members, m)
		g.byID[m.id] = m
	}
	return g, nil
}

func (m *member) notify(e client.Event) {
	switch e := e.(type) {
	case client.Lost:
		m.fail(fmt.Errorf("session %d was lost: %s", m.number, e.Reason))
	case client.Refused:
		m.fail(fmt.Errorf("session %d: refused: %+v", m.number, e))
	case client.Resumed:
		m.mu.Lock()
		m.resumed++
		m.mu.Unlock()
	case client.Result:
		if e.Seq == 0 {
			return // of a transfer, which says it itself
		}
		m.mu.Lock()
		if m.results[e.Peer] == nil {
			m.results[e.Peer] = map[uint64]bool{}
		}
		m.results[e.Peer][e.Seq] = true
		m.mu.Unlock()
		if m.group.byID[e.Peer] != nil {
			m.fail(fmt.Errorf("session %d: a session was not reached: %+v", m.number, e))
		}
	}
}

// accept takes the files that are to come.
func (m *member) accept(in client.Incoming) (client.Sink, error) {
	number, ok := in.Meta.(int64)
	m.mu.Lock()
	p := m.files[uint64(number)]
	m.mu.Unlock()
	if !ok || p == nil || in.Size != p.size {
		return client.Sink{}, fmt.Errorf("a file that nobody announced: %+v", in)
	}
	return client.Sink{Store: p, Done: func(err error) {
		if err != nil {
			m.fail(fmt.Errorf("file %d at session %d: %w", number, m.number, err))
		}
		m.done <- err
	}}, nil
}

// to are the recipients of a channel; none means all.
func (m *member) to(channel string) (some []*member) {
	g := m.group.members
	at := m.number - g[0].number
	n := map[string]int{"few": few, "one": 1}[channel]
	for i := range min(n, len(g)-1) {
		some = append(some, g[(at+1+i)%len(g)])
	}
	return some
}

// say sends the next message of a channel and returns to how many sessions.
func (m *member) say(ctx context.Context, channel string, pages map[string]bool) (int, error) {
	to := m.to(channel)
	m.sent[channel]++
	n := m.sent[channel]
	var opts []client.SendOption
	if channel == "all" {
		for _, other := range m.group.members {
			if other != m {
				to = append(to, other)
			}
		}
	} else {
		var ids []string
		for _, other := range to {
			ids = append(ids, other.id)
		}
		opts = append(opts, client.To(ids...))
	}
	for _, other := range to {
		other.expected.Add(1)
	}
	linked := m.linkedPages(pages)
	before := m.connections()
	seq, err := m.room.Send(ctx, channel, map[string]int{"s": m.number, "n": n}, opts...)
	if err != nil {
		return 0, err
	}
	if channel == "all" {
		if len(linked) > 0 {
			// A server that is about to take the send may have lost the page by then.
			if err := m.room.Wait(ctx, seq); err != nil {
				return 0, err
			}
			if m.connections() != before || !m.room.Online() {
				linked = nil
			}
		}
		m.mu.Lock()
		m.said[seq] = n
		for p := range linked {
			if m.linked[p] == nil {
				m.linked[p] = map[uint64]bool{}
			}
			m.linked[p][seq] = true
		}
		m.mu.Unlock()
	}
	return len(to), nil
}

// linkedPages are those that are peers of the session now.
func (m *member) linkedPages(pages map[string]bool) map[string]bool {
	linked := map[string]bool{}
	if len(pages) > 0 && m.room.Online() {
		for _, p := range m.room.Peers() {
			if pages[p.ID] {
				linked[p.ID] = true
			}
		}
	}
	return linked
}

// connections counts the session's connections.
func (m *member) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resumed
}

// talk sends at random, so that the group makes `rate` deliveries a second,
// until the budget is used up.
func (m *member) talk(ctx context.Context, rng *rand.Rand, rate float64, budget *atomic.Int64, pages map[string]bool) {
	g := len(m.group.members)
	each := 0.2*float64(g-1) + 0.4*few + 0.4 // deliveries of a send, on average
	pause := time.Duration(each * float64(g) / rate * float64(time.Second))
	for budget.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Duration(rng.Float64() * 2 * float64(pause)))
		channel := channels[0]
		if x := rng.IntN(10); x >= 6 {
			channel = "few"
		} else if x >= 2 {
			channel = "one"
		}
		n, err := m.say(ctx, channel, pages)
		if err != nil {
			m.fail(fmt.Errorf("session %d: %w", m.number, err))
			return
		}
		budget.Add(-int64(n))
	}
}

// listen checks what comes until ctx ends.
func (m *member) listen(ctx context.Context) {
	for {
		msg, err := m.room.Receive(ctx)
		if err != nil {
			if ctx.Err() == nil {
				m.fail(fmt.Errorf("session %d: %w", m.number, err))
			}
			return
		}
		from := m.group.byID[msg.From]
		data, _ := msg.Data.(map[string]any)
		n, _ := data["n"].(int64)
		if from == nil || data["s"] != int64(from.number) {
			m.fail(fmt.Errorf("session %d: a message of nobody known: %+v", m.number, msg))
			return
		}
		if before := m.heard[msg.Channel][msg.From]; int(n) != before+1 {
			m.fail(fmt.Errorf("session %d: on %s of session %d: %d after %d", m.number, msg.Channel, from.number, n, before))
			return
		}
		m.heard[msg.Channel][msg.From] = int(n)
		m.received.Add(1)
	}
}

// whole tells whether all that was sent has come.
func (m *member) whole() bool { return m.received.Load() >= m.expected.Load() }

// complete holds the logs of all against what was sent. All have stopped.
func (g *group) complete() error {
	for _, m := range g.members {
		if m.room.Peer() != m.id {
			return fmt.Errorf("session %d is %s and was %s", m.number, m.room.Peer(), m.id)
		}
		want := map[string]map[string]int{"all": {}, "few": {}, "one": {}}
		for _, other := range g.members {
			if other != m && other.sent["all"] > 0 {
				want["all"][other.id] = other.sent["all"]
			}
			for _, channel := range channels[1:] {
				for _, to := range other.to(channel) {
					if to == m && other.sent[channel] > 0 {
						want[channel][other.id] = other.sent[channel]
					}
				}
			}
		}
		for _, channel := range channels {
			if !maps.Equal(m.heard[channel], want[channel]) {
				return fmt.Errorf("session %d: on %s it has %v, and %v was sent", m.number, channel, m.heard[channel], want[channel])
			}
		}
	}
	return nil
}
