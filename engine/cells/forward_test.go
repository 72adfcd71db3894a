package cells

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// mesh is a room whose peers have all links that their roles need, and which pass on
// frames as docs/protocol.md says, "Cells".
type mesh struct {
	roles  map[string]*Role
	seen   map[string]bool
	copies int            // frames that were received
	hops   map[string]int // by which each peer was reached first
	spare  int            // the least ttl with which a peer was reached
}

func newMesh(top *Topology) *mesh {
	m := &mesh{roles: map[string]*Role{}, seen: map[string]bool{}, hops: map[string]int{}, spare: top.TTL()}
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
	r := m.roles[origin]
	m.seen[origin] = true
	round := m.send(nil, origin, r.Cell, r.TTL)
	for _, n := range r.Neighbours {
		round = m.send(round, origin, n, r.TTL-1)
	}
	for hops := 1; len(round) > 0; hops++ {
		var next []sending
		for len(round) > 0 {
			i := pick(len(round))
			s := round[i]
			round[i] = round[len(round)-1]
			round = round[:len(round)-1]
			m.copies++
			if m.seen[s.to] {
				continue
			}
			m.seen[s.to], m.hops[s.to], m.spare = true, hops, min(m.spare, s.ttl)
			r := m.roles[s.to]
			if !r.Bridge || s.ttl == 0 {
				continue
			}
			for cell := range r.Audience {
				if cell != s.cell {
					next = m.send(next, s.to, cell, s.ttl-1)
				}
			}
		}
		round = next
	}
}

func (m *mesh) send(list []sending, from string, cell, ttl int) []sending {
	for _, to := range m.roles[from].Audience[cell] {
		if !m.roles[from].Keeps(to) {
			continue
		}
		if r := m.roles[to]; r.Audience[cell] == nil {
			continue // it drops what is said there
		}
		list = append(list, sending{to, cell, ttl})
	}
	return list
}

// A frame reaches all peers, before its ttl is used up. Only those are out of reach whose
// cells have, over any number of cells, no neighbour but empty ones.
func TestForwarding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := ids(rapid.IntRange(1, 300).Draw(t, "peers"))
		offset := rapid.IntRange(0, 1<<20).Draw(t, "offset")
		for i, id := range list {
			list[i] = Channel(offset) + id
		}
		top := New(rapid.IntRange(1, 20).Draw(t, "size"), list...)
		origin := rapid.SampledFrom(list).Draw(t, "origin")
		random := rapid.Uint32().Draw(t, "arrival")
		m := newMesh(top)
		m.broadcast(origin, func(n int) int {
			random = random*1664525 + 1013904223
			return int(random>>8) % n
		})
		reach := component(top, top.Cell(origin))
		for _, id := range list {
			if want := slices.Contains(reach, top.Cell(id)); m.seen[id] != want {
				t.Fatalf("%s of cell %d reached: %v, from cell %d of %d with ttl %d", id, top.Cell(id), m.seen[id], top.Cell(origin), top.Cells(), top.TTL())
			}
			if m.hops[id] > top.TTL() {
				t.Fatalf("%d hops with ttl %d", m.hops[id], top.TTL())
			}
		}
	})
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
