package cells

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// mesh is a room whose peers have all links that their roles need, and which pass on
// frames as docs/protocol.md says, "Cells".
type mesh struct {
	roles   map[string]*Role
	ownOnly bool           // bridges send on the channel of their own cell only
	hops    map[string]int // by which each peer was reached first
	copies  map[string]int // of the frame that each got
}

func newMesh(top *Topology, ownOnly bool) *mesh {
	m := &mesh{roles: map[string]*Role{}, ownOnly: ownOnly}
	for _, id := range top.IDs() {
		m.roles[id] = top.Role(id)
	}
	return m
}

type sending struct {
	to        string
	cell, ttl int
}

// broadcast sends a frame from a peer until nobody passes it on. Of what is under way
// together, pick chooses what arrives next.
func (m *mesh) broadcast(origin string, pick func(n int) int) {
	m.hops, m.copies = map[string]int{origin: 0}, map[string]int{}
	r := m.roles[origin]
	round := m.send(nil, origin, r.Cell, r.TTL)
	if !m.ownOnly {
		for _, n := range r.Neighbours {
			round = m.send(round, origin, n, r.TTL-1)
		}
	}
	for hop := 1; len(round) > 0; hop++ {
		var next []sending
		for len(round) > 0 {
			i, last := pick(len(round)), len(round)-1
			s := round[i]
			round[i] = round[last]
			round = round[:last]
			m.copies[s.to]++
			if _, seen := m.hops[s.to]; seen {
				continue
			}
			m.hops[s.to] = hop
			next = m.forward(next, s)
		}
		round = next
	}
}

func (m *mesh) forward(list []sending, s sending) []sending {
	r := m.roles[s.to]
	if !r.Bridge || s.ttl == 0 {
		return list
	}
	for _, cell := range append(r.Neighbours[:len(r.Neighbours):len(r.Neighbours)], r.Cell) {
		if cell != s.cell && (cell == r.Cell || !m.ownOnly) {
			list = m.send(list, s.to, cell, s.ttl-1)
		}
	}
	return list
}

// send sends to those of an audience with whom there is a link, and who do not drop it.
func (m *mesh) send(list []sending, from string, cell, ttl int) []sending {
	for _, to := range m.roles[from].Audience[cell] {
		if _, hears := m.roles[to].Audience[cell]; hears && m.roles[from].Keeps(to) {
			list = append(list, sending{to, cell, ttl})
		}
	}
	return list
}

// A frame reaches all peers, before its ttl is used up, also if bridges send on the
// channel of their own cell only. Out of reach are only those whose cells have, over any
// number of cells, no neighbours but empty ones.
func TestForwarding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := ids(rapid.IntRange(1, 300).Draw(t, "peers"))
		salt := rapid.StringN(0, 3, -1).Draw(t, "salt")
		for i, id := range list {
			list[i] = salt + id
		}
		top := New(rapid.IntRange(1, 20).Draw(t, "size"), list...)
		origin := rapid.SampledFrom(list).Draw(t, "origin")
		pick := random(rapid.Uint32().Draw(t, "arrival"))
		reach := component(top, top.Cell(origin))
		for _, ownOnly := range []bool{false, true} {
			m := newMesh(top, ownOnly)
			m.broadcast(origin, pick)
			for _, id := range list {
				hops, reached := m.hops[id]
				if reached != slices.Contains(reach, top.Cell(id)) || hops > top.TTL() {
					t.Fatalf("own channel only: %v; %s of cell %d reached: %v, in %d hops from cell %d of %d, ttl %d",
						ownOnly, id, top.Cell(id), reached, hops, top.Cell(origin), top.Cells(), top.TTL())
				}
			}
		}
	})
}

// The figures of docs/protocol.md.
func TestCopies(t *testing.T) {
	for _, c := range []struct{ peers, size int }{{12, 3}, {100, 10}, {1000, 10}} {
		countCopies(t, c.peers, c.size)
	}
}

func BenchmarkCopies10000(b *testing.B) {
	for b.Loop() {
		countCopies(b, 10_000, 10)
	}
}

func countCopies(t testing.TB, peers, size int) {
	list := ids(peers)
	top := New(size, list...)
	for _, ownOnly := range []bool{false, true} {
		m := newMesh(top, ownOnly)
		m.broadcast(list[0], random(1))
		var links, bridges, hops, copies []int
		for id, r := range m.roles {
			links = append(links, len(r.Links))
			if r.Bridge {
				bridges = append(bridges, len(r.Links))
			}
			hops, copies = append(hops, m.hops[id]), append(copies, m.copies[id])
		}
		t.Logf("%d peers by %d, own channel only: %v; links %v, of bridges %v; hops %v, ttl %d; copies %v",
			peers, size, ownOnly, spread(links), spread(bridges), spread(hops), top.TTL(), spread(copies))
		if len(m.hops) != peers {
			t.Errorf("%d of %d peers reached", len(m.hops), peers)
		}
		if median := spread(copies).median; ownOnly && median != 1 {
			t.Errorf("%d copies in the median", median)
		}
	}
}

type distribution struct {
	mean        float64
	median, max int
}

func (d distribution) String() string {
	return fmt.Sprintf("%.1f (median %d, at most %d)", d.mean, d.median, d.max)
}

func spread(list []int) (d distribution) {
	slices.Sort(list)
	for _, n := range list {
		d.mean += float64(n) / float64(len(list))
	}
	d.median, d.max = list[len(list)/2], list[len(list)-1]
	return d
}

// random are numbers below n.
func random(state uint32) func(n int) int {
	return func(n int) int {
		state = state*1664525 + 1013904223
		return int(state>>8) % n
	}
}

// component are the cells which edges between cells with members connect with one.
func component(top *Topology, cell int) []int {
	reached := []int{cell}
	for i := 0; i < len(reached); i++ {
		for _, n := range top.Neighbours(reached[i]) {
			if len(top.Members(n)) > 0 && !slices.Contains(reached, n) {
				reached = append(reached, n)
			}
		}
	}
	return reached
}
