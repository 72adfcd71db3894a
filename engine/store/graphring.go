package store

import (
	"cmp"
	"slices"
	"sort"
)

// What a ring holds at most.
const (
	ringChanges = 10_000
	ringBytes   = 8 << 20
)

// ring is the last changes that are on the disk, so that who follows the graph need
// not read it. Those that are replaced by a later one are in it too, until they would
// be removed in their turn.
type ring struct {
	changes []change
	latest  map[string]uint64 // id → the Seq of its last change in the ring
	bytes   int
	floor   uint64 // every change above is in the ring
}

type change struct {
	seq    uint64
	id     string
	record []byte
}

// add takes what was committed; the oldest changes go.
func (r *ring) add(records map[string][]byte) {
	if r.latest == nil {
		r.latest = map[string]uint64{}
	}
	from := len(r.changes)
	for id, record := range records {
		r.changes = append(r.changes, change{seqOf(record), id, record})
		r.latest[id] = seqOf(record)
		r.bytes += len(id) + len(record)
	}
	slices.SortFunc(r.changes[from:], func(a, b change) int { return cmp.Compare(a.seq, b.seq) })
	n := 0
	for ; len(r.changes)-n > ringChanges || r.bytes > ringBytes; n++ {
		old := r.changes[n]
		r.changes[n] = change{}
		r.floor = old.seq
		r.bytes -= len(old.id) + len(old.record)
		if r.latest[old.id] == old.seq {
			delete(r.latest, old.id)
		}
	}
	r.changes = r.changes[n:]
}

// after returns the first changes after a Seq, at most max, or false if the ring does
// not reach back so far.
func (r *ring) after(seq uint64, max int) (changes []change, ok bool) {
	if seq < r.floor {
		return nil, false
	}
	i := sort.Search(len(r.changes), func(i int) bool { return r.changes[i].seq > seq })
	for _, c := range r.changes[i:] {
		if len(changes) == max {
			break
		}
		if r.latest[c.id] == c.seq {
			changes = append(changes, c)
		}
	}
	return changes, true
}
