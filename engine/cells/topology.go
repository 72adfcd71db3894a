package cells

import (
	"math/bits"
	"slices"
	"strconv"
)

// DefaultSize is how many peers a cell is to have unless an application says otherwise.
const DefaultSize = 10

// maxTTL is the greatest TTL of a frame.
const maxTTL = 150

// Topology gives each peer of a roster its cell, and each cell its bridge. All peers with
// the same roster and size come to the same (docs/protocol.md, "Cells").
//
// A peer that comes or goes costs one hash for each cell; every size-th of them changes
// the number of cells as well, which costs one hash for each peer. A Topology is not for
// concurrent use, except that it may be read concurrently while nobody changes it.
type Topology struct {
	size  int
	peers []peer
	at    map[string]int32 // where in peers
	cells []cell
	known int // cells with members
}

type peer struct {
	id    string
	state uint32 // cellState of id
	score uint32 // of its cell
	cell  int32
}

type cell struct {
	members []string // sorted
	bridge  string
	rank    uint32 // of the bridge
}

// New makes the topology of a roster; ids that come twice count once. Cells are to have
// size peers, DefaultSize if it is not positive.
func New(size int, ids ...string) *Topology {
	if size <= 0 {
		size = DefaultSize
	}
	t := &Topology{size: size, at: make(map[string]int32, len(ids)), peers: make([]peer, 0, len(ids))}
	for _, id := range ids {
		t.enlist(id)
	}
	t.cells = make([]cell, count(len(t.peers), size))
	for i := range t.peers {
		t.place(&t.peers[i])
	}
	return t
}

// Add takes a peer into the roster. It is false if it was there.
func (t *Topology) Add(id string) bool {
	if !t.enlist(id) {
		return false
	}
	last := len(t.peers) - 1
	if count(len(t.peers), t.size) > len(t.cells) {
		t.grow(t.peers[:last])
	}
	t.place(&t.peers[last])
	return true
}

// Remove takes a peer out of the roster. It is false if it was not there.
func (t *Topology) Remove(id string) bool {
	i, ok := t.at[id]
	if !ok {
		return false
	}
	t.leave(&t.peers[i])
	last := len(t.peers) - 1
	t.peers[i] = t.peers[last]
	t.at[t.peers[i].id] = i
	t.peers[last] = peer{}
	t.peers = t.peers[:last]
	delete(t.at, id)
	if count(last, t.size) < len(t.cells) {
		t.shrink()
	}
	return true
}

// enlist gives a peer no cell yet.
func (t *Topology) enlist(id string) bool {
	if _, ok := t.at[id]; ok {
		return false
	}
	t.at[id] = int32(len(t.peers))
	t.peers = append(t.peers, peer{id: id, state: cellState(id)})
	return true
}

// count is the number of cells for n peers.
func count(n, size int) int { return max(1, (n+size-1)/size) }

// place puts a peer into the cell for which it has the greatest hash.
func (t *Topology) place(p *peer) {
	var b best
	b.look(p.state, 0, len(t.cells))
	p.score = b.score
	t.enter(p, b.cell)
}

// grow makes one more cell, to which those of the peers go who have a greater hash for it.
func (t *Topology) grow(peers []peer) {
	last := len(t.cells)
	t.cells = append(t.cells, cell{})
	digits := strconv.AppendInt(nil, int64(last), 10)
	for i := range peers {
		p := &peers[i]
		s := p.state
		for _, d := range digits {
			s = step(s, uint32(d))
		}
		if s > p.score {
			t.leave(p)
			p.score = s
			t.enter(p, last)
		}
	}
}

// shrink makes the last cell go away. Only its members have to find another.
func (t *Topology) shrink() {
	last := len(t.cells) - 1
	members := t.cells[last].members
	if len(members) > 0 {
		t.known--
	}
	t.cells[last] = cell{}
	t.cells = t.cells[:last]
	for _, id := range members {
		t.place(&t.peers[t.at[id]])
	}
}

func (t *Topology) enter(p *peer, to int) {
	p.cell = int32(to)
	c := &t.cells[to]
	if len(c.members) == 0 {
		t.known++
	}
	i, _ := slices.BinarySearchFunc(c.members, p.id, compare)
	c.members = slices.Insert(c.members, i, p.id)
	c.nominate(p.id, to)
}

func (t *Topology) leave(p *peer) {
	c := &t.cells[p.cell]
	i, _ := slices.BinarySearchFunc(c.members, p.id, compare)
	c.members = slices.Delete(c.members, i, i+1)
	if len(c.members) == 0 {
		t.known--
	}
	if c.bridge == p.id {
		c.bridge, c.rank = "", 0
		for _, id := range c.members {
			c.nominate(id, int(p.cell))
		}
	}
}

// nominate makes a member the bridge if it ranks higher. Which of two equal ones browsers
// take is not known; here it is the lower id.
func (c *cell) nominate(id string, number int) {
	r := rank(id, number)
	if c.bridge == "" || r > c.rank || r == c.rank && compare(id, c.bridge) < 0 {
		c.bridge, c.rank = id, r
	}
}

// Has tells whether a peer is in the roster.
func (t *Topology) Has(id string) bool { _, ok := t.at[id]; return ok }

// Len is the number of peers.
func (t *Topology) Len() int { return len(t.peers) }

// Size is how many peers a cell is to have.
func (t *Topology) Size() int { return t.size }

// Cells is the number of cells, empty ones included: 1 at least.
func (t *Topology) Cells() int { return len(t.cells) }

// Known is the number of cells that are not empty.
func (t *Topology) Known() int { return t.known }

// TTL is how many times a frame may be passed on.
func (t *Topology) TTL() int { return min(maxTTL, 2*bits.Len(uint(len(t.cells)))+3) }

// Cell is the cell of a peer, -1 if it is not in the roster.
func (t *Topology) Cell(id string) int {
	i, ok := t.at[id]
	if !ok {
		return -1
	}
	return int(t.peers[i].cell)
}

// Members are the peers of a cell, sorted as IDs are; none if there is no such cell. The
// list must not be changed, nor kept when the topology changes.
func (t *Topology) Members(cell int) []string {
	if cell < 0 || cell >= len(t.cells) {
		return nil
	}
	return t.cells[cell].members
}

// Bridge is the member of a cell that ranks highest, "" if the cell is empty.
func (t *Topology) Bridge(cell int) string {
	if cell < 0 || cell >= len(t.cells) {
		return ""
	}
	return t.cells[cell].bridge
}

// Neighbours are the cells at distances 1, 2, 4, 8 ... from a cell, in ascending order,
// empty ones included. There is no way around from the last cell to the first.
func (t *Topology) Neighbours(cell int) []int {
	if cell < 0 || cell >= len(t.cells) {
		return nil
	}
	var list []int
	for s := 1 << bits.Len(uint(cell)) >> 1; s > 0; s /= 2 { // from the greatest up to cell
		list = append(list, cell-s)
	}
	for s := 1; cell+s < len(t.cells); s *= 2 {
		list = append(list, cell+s)
	}
	return list
}

// Bridges are the names of the cells with which a bridge has an edge, in the order of
// getState().bridges in GenosRTC. There are none for a peer that is no bridge. An edge
// goes up from each cell that is not empty, so the other end of it may be empty if it is
// the higher one.
func (t *Topology) Bridges(id string) []string {
	own := t.Cell(id)
	if own < 0 || t.cells[own].bridge != id {
		return nil
	}
	// All edges, by the lower end; these in the order of their first members.
	var lower []int
	for _, n := range t.Neighbours(own) {
		if n < own && len(t.cells[n].members) > 0 {
			lower = append(lower, n)
		}
	}
	lower = append(lower, own)
	slices.SortFunc(lower, func(a, b int) int { return compare(t.cells[a].members[0], t.cells[b].members[0]) })
	var names []string
	for _, n := range lower {
		if n != own {
			names = append(names, Name(n))
			continue
		}
		for s := 1; own+s < len(t.cells); s *= 2 {
			names = append(names, Name(own+s))
		}
	}
	return names
}

// IsBridge tells whether a peer is the bridge of a cell that has an edge.
func (t *Topology) IsBridge(id string) bool {
	own := t.Cell(id)
	if own < 0 || t.cells[own].bridge != id {
		return false
	}
	if own+1 < len(t.cells) {
		return true
	}
	return slices.ContainsFunc(t.Neighbours(own), func(n int) bool { return len(t.cells[n].members) > 0 })
}

// IDs is the roster, sorted by UTF-16 code units as JavaScript does.
func (t *Topology) IDs() []string {
	ids := make([]string, len(t.peers))
	for i := range t.peers {
		ids[i] = t.peers[i].id
	}
	slices.SortFunc(ids, compare)
	return ids
}
