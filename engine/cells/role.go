package cells

import "slices"

// Role is the place of one peer in a topology: what it hears, says and links with. It
// must not be changed.
type Role struct {
	Cell, Cells, TTL int

	// Bridge: it passes frames on between its cell and the Neighbours of that, which are
	// the cells at distances 1, 2, 4, 8 ..., ascending. Others have no Neighbours.
	Bridge     bool
	Neighbours []int

	// Audience is who is to hear a frame on the channel of a cell, the peer itself left
	// out: for its own cell, and for a bridge those of the Neighbours. Only those of them
	// can be told whom it Keeps a link with.
	Audience map[int][]string

	// Links are the peers whom it keeps a link with, sorted as Topology.IDs are.
	Links []string
}

// Role is the place of a peer; nil if it is not in the roster. It does not change when the
// topology does.
func (t *Topology) Role(id string) *Role {
	own := t.Cell(id)
	if own < 0 {
		return nil
	}
	r := &Role{Cell: own, Cells: len(t.cells), TTL: t.TTL(), Bridge: t.IsBridge(id)}
	neighbours := t.Neighbours(own)
	r.Audience = map[int][]string{own: t.audience(own, id)}
	r.Links = appendOthers(nil, t.cells[own].members, id)
	for _, n := range neighbours {
		if r.Bridge {
			r.Audience[n] = t.audience(n, id)
			r.Links = append(r.Links, t.cells[n].members...)
		} else if b := t.cells[n].bridge; b != "" {
			r.Links = append(r.Links, b)
		}
	}
	if r.Bridge {
		r.Neighbours = neighbours
	}
	slices.SortFunc(r.Links, compare)
	return r
}

// audience are the members of a cell and the bridges that have an edge with it.
func (t *Topology) audience(cell int, without string) []string {
	members := t.cells[cell].members
	list := appendOthers(make([]string, 0, len(members)), members, without)
	for _, n := range t.Neighbours(cell) {
		if n > cell && len(members) == 0 {
			break // edges go up from cells that are not empty
		}
		if b := t.cells[n].bridge; b != "" && b != without {
			list = append(list, b)
		}
	}
	return list
}

func appendOthers(list, ids []string, without string) []string {
	for _, id := range ids {
		if id != without {
			list = append(list, id)
		}
	}
	return list
}

// Keeps tells whether the role has a link with another peer. Both ends of a link say the
// same. No role, nil, keeps nobody.
func (r *Role) Keeps(id string) bool {
	if r == nil {
		return false
	}
	_, ok := slices.BinarySearchFunc(r.Links, id, compare)
	return ok
}
