package graph

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Scan calls yield with every entry of a graph, in any order, until that returns false.
// The entries are the callee's to keep.
type Scan func(yield func(Entry) bool) error

// Fetch returns an entry, and whether there is one.
type Fetch func(id string) (Entry, bool, error)

const (
	// maxValues is the size, in bytes, of a graph whose values are kept as it is read; those of
	// a larger one are read once more.
	maxValues = 24 << 20
	// window is how far the changes of a graph may differ in order between those who are
	// connected.
	window = 60 * time.Second
	// maxRemovals is how many removals one is told of who has nothing: mostly a new page,
	// which forgets them.
	maxRemovals = 1000
)

// Answer is what somebody lacks of a graph. It is for one goroutine.
type Answer struct {
	fetch  Fetch
	items  []item
	values map[string]Entry // those of the items, while they are not too large
	live   map[string]bool  // all ids, and whether the node exists
}

// item is an entry without its value.
type item struct {
	id        string
	timestamp Timestamp
	seq       uint64
	size      int
	removed   bool
	live      bool
	lacked    bool
	edges     []string
	// has is the timestamp up to which who asked may have the node.
	has Timestamp
}

// Asker is what is known of one who asks. Its own word proves little: a live operation that
// reaches it in the middle of an answer makes its timestamp new, as does one from
// others whom it met before us.
type Asker struct {
	// Asked is the highest timestamp that it has applied; zero if it has nothing.
	Asked Timestamp
	// Some: it may have nodes though Asked is zero, as a server that asks for everything. A
	// page that asks so has none, but for what it is just being told live.
	Some bool
	// Had is the Seq up to which it is known to have had everything: that of the graph
	// at the end of its last link on which it had asked and got the whole of the
	// answer. 0 if nothing is known.
	Had uint64
	// Before bounds what Asked can prove, if Had is 0: only an entry with a lesser
	// Seq proves that it was connected with us then. It should be a minute before
	// the link was opened. 0 means that nothing proves it, which is right for one who
	// did not get the whole of its last answer.
	Before uint64
}

// NewAnswer returns what an asker lacks.
//
// If Had is known, that is what came after it, or up to a minute before. Else, if Asked
// is the timestamp of an entry that is Live, and Before, it is what came up to a minute
// before that entry, or later. In both cases it is also what is as new as Asked or newer,
// and nodes with an edge to one of those, as their link may have come before it. Else
// it is everything; one with the zero Timestamp is told of the newest removals only.
//
// Scan is called once; fetch while the answer is taken, if it is large.
func NewAnswer(scan Scan, fetch Fetch, asker Asker) (*Answer, error) {
	a := &Answer{fetch: fetch}
	had, asked := asker.Had, asker.Asked
	err := a.read(scan, func(it *item) {
		switch {
		case asker.Some:
			it.has = it.timestamp
		case !asked.IsZero():
			// Some ask with a time a little before what they have.
			it.has = Timestamp{Physical: asked.Physical + window.Milliseconds(), Logical: maxInteger}
		}
		if asker.Had == 0 && it.live && it.timestamp == asked && it.seq < asker.Before {
			had = max(had, it.seq)
		}
	})
	if err != nil {
		return nil, err
	}
	if asked.IsZero() || had == 0 {
		for i := range a.items {
			a.items[i].lacked = true
		}
		a.keep()
		if asked.IsZero() {
			a.forget()
		}
		return a, nil
	}
	since := had - min(had, uint64(window.Microseconds()))
	lacked := make(map[string]bool)
	for i := range a.items {
		it := &a.items[i]
		it.lacked = it.timestamp.Compare(asked) >= 0 || it.seq > since
		if it.lacked && !it.removed {
			lacked[it.id] = true
		}
	}
	for i := range a.items {
		it := &a.items[i]
		it.lacked = it.lacked || slices.ContainsFunc(it.edges, func(id string) bool { return lacked[id] })
	}
	a.keep()
	return a, nil
}

// Since returns what has changed after the change with the Seq seq: for those who are linked
// already, when we have learned something from an answer. Pages tell each other only
// what is in their logs.
func Since(scan Scan, fetch Fetch, seq uint64, last Timestamp) (*Answer, error) {
	a := &Answer{fetch: fetch}
	err := a.read(scan, func(it *item) {
		it.lacked = it.seq > seq
		it.has = last
	})
	if err != nil {
		return nil, err
	}
	a.keep()
	return a, nil
}

// Against returns what the sender of a full state lacks or has older, as far as a graph
// knows of it.
func Against(scan Scan, fetch Fetch, full *FullState) (*Answer, error) {
	a := &Answer{fetch: fetch}
	theirs := make(map[string]*Entry, len(full.Nodes))
	for i := range full.Nodes {
		theirs[full.Nodes[i].ID] = &full.Nodes[i]
	}
	err := a.read(scan, func(it *item) {
		e, known := theirs[it.id]
		if known {
			it.has = e.Timestamp
			it.lacked = it.timestamp.After(e.Timestamp)
		} else {
			it.lacked = !it.removed
		}
	})
	if err != nil {
		return nil, err
	}
	a.keep()
	return a, nil
}

// read reads all entries, with values only while they are not too many.
func (a *Answer) read(scan Scan, each func(*item)) error {
	a.live = make(map[string]bool)
	a.values = make(map[string]Entry)
	size := 0
	err := scan(func(e Entry) bool {
		it := item{id: e.ID, timestamp: e.Timestamp, seq: e.Seq, removed: e.Removed, live: e.Live, edges: e.Edges,
			size: 2*len(e.ID) + len(e.Value) + len(e.Extra) + 80}
		for _, id := range e.Edges {
			it.size += len(id) + 3
		}
		a.live[e.ID] = !e.Removed
		size += it.size
		if a.values != nil {
			a.values[e.ID] = e
			if size > maxValues {
				a.values = nil
			}
		}
		a.items = append(a.items, it)
		return true
	})
	if err != nil {
		return fmt.Errorf("reading the graph: %w", err)
	}
	for i := range a.items {
		each(&a.items[i])
	}
	return nil
}

// keep leaves the items that are lacked, the oldest first.
func (a *Answer) keep() {
	a.items = slices.DeleteFunc(a.items, func(it item) bool {
		if !it.lacked {
			delete(a.values, it.id)
		}
		return !it.lacked
	})
	slices.SortFunc(a.items, func(x, y item) int {
		return cmp.Or(x.timestamp.Compare(y.timestamp), cmp.Compare(x.id, y.id))
	})
}

// forget leaves the newest removals only.
func (a *Answer) forget() {
	removals := 0
	for i := range a.items {
		if a.items[i].removed {
			removals++
		}
	}
	a.items = slices.DeleteFunc(a.items, func(it item) bool {
		if !it.removed || removals <= maxRemovals {
			return false
		}
		removals--
		return true
	})
}

// Empty tells whether nothing is lacked.
func (a *Answer) Empty() bool { return len(a.items) == 0 }

// Newest is the highest timestamp of the nodes, not of the removals: who has taken the whole
// answer has applied no lower one.
func (a *Answer) Newest() Timestamp {
	for i := len(a.items) - 1; i >= 0; i-- {
		if !a.items[i].removed {
			return a.items[i].timestamp
		}
	}
	return Timestamp{}
}

// entry reads an item's entry. It is not there if it has changed since it was scanned.
func (a *Answer) entry(it *item) (Entry, bool, error) {
	e, ok := a.values[it.id]
	if !ok {
		var err error
		if e, ok, err = a.fetch(it.id); err != nil {
			return e, false, fmt.Errorf("reading node %q: %w", it.id, err)
		}
	}
	return e, ok && e.Timestamp == it.timestamp && e.Removed == it.removed, nil
}

// served are the edges that do not lead to removed nodes. One may lead to a node that is not
// known yet.
func (a *Answer) served(edges []string) []string {
	gone := func(id string) bool {
		live, known := a.live[id]
		return known && !live
	}
	if !slices.ContainsFunc(edges, gone) {
		return edges
	}
	return slices.DeleteFunc(slices.Clone(edges), gone)
}
