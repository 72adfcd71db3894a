package graph

import (
	"cmp"
	"container/heap"
	"errors"
	"slices"
	"strings"
)

const (
	// MaxPage is the number of nodes in a page of an answer at most.
	MaxPage = 1000
	// maxPageBytes is the size of the nodes in a page at most, if it has more than one,
	// with what is kept of them and not served.
	maxPageBytes = 4 << 20
	// maxOrder is the length of the name of a field to order by.
	maxOrder = 256
)

// Query selects nodes, orders them and takes a page of them (docs/gateway.md,
// "Graph"). It is for one goroutine at a time.
type Query struct {
	Prefix string  // of ids
	Filter *Filter // nil: any node
	// Order is the field to order by, as a filter names it, after a "-" in
	// descending order. "": by id.
	Order  string
	Limit  int    // of the nodes in the page, 1 to MaxPage
	Cursor string // of the page before; "": the first page
}

// Errors of a Query.
var (
	ErrOrder  = errors.New("order: it must be the name of a field, of at most 256 bytes and 16 parts, maybe with a \"-\" before it")
	ErrCursor = errors.New("cursor: it must be that of an answer with the same order")
)

// Page is a part of the nodes that a query selects.
type Page struct {
	Nodes []Entry
	// Cursor is for the query for the next page; "" if there is none. All pages
	// together have every node, once, that is selected all the time and whose place
	// in the order does not change meanwhile.
	Cursor string
}

// place is where a node is in an order.
type place struct {
	value
	id string
}

func (p *place) compare(q *place) int {
	return cmp.Or(p.value.compare(&q.value), cmp.Compare(p.id, q.id))
}

type placed struct {
	place
	Entry
}

// Run answers the query from a scan, which yields nodes in the order of ids, from the
// first that is not less than from, until yield returns false. It holds no more than
// a page in memory. It fails with ErrOrder and ErrCursor, or as the scan does.
func (q *Query) Run(scan func(from string, yield func(Entry) bool) error) (Page, error) {
	p, err := newPager(q)
	if err != nil {
		return Page{}, err
	}
	from := q.Prefix
	if !p.ordered && p.after != nil {
		from = max(from, p.after.id)
	}
	err = scan(from, func(e Entry) bool {
		switch {
		case !strings.HasPrefix(e.ID, q.Prefix):
			return false // no id behind it has the prefix
		case e.Removed, q.Filter != nil && !q.Filter.Match(e.Value):
			return true
		}
		return p.take(e)
	})
	if err != nil {
		return Page{}, err
	}
	return p.page(), nil
}

// pager keeps the first nodes behind the cursor, of those that it is given.
type pager struct {
	limit   int
	order   string
	ordered bool // by a field, the one in slot 0
	sign    int  // -1: descending
	fields  finder
	after   *place // nil: the beginning
	best    nearest
	bytes   int
	// end is the first place of those for which there was no room; nil: there was.
	end *place
}

func newPager(q *Query) (*pager, error) {
	p := &pager{limit: max(1, min(q.Limit, MaxPage)), order: q.Order, sign: 1}
	if q.Order != "" {
		field, descending := strings.CutPrefix(q.Order, "-")
		if descending {
			p.sign = -1
		}
		if _, err := p.fields.slot(field); err != nil || len(field) > maxOrder {
			return nil, ErrOrder
		}
		p.ordered = true
	}
	if q.Cursor != "" {
		after, err := parseCursor(q.Cursor, q.Order)
		if err != nil {
			return nil, err
		}
		p.after = &after
	}
	p.best.sign = p.sign
	return p, nil
}

func (p *pager) before(a, b *place) bool { return p.sign*a.compare(b) < 0 }

// take takes a node, if it belongs to the page by what is known yet. It returns false
// when no other can.
func (p *pager) take(e Entry) bool {
	at := place{id: e.ID}
	if p.ordered {
		p.fields.read(e.Value)
		at.value = orderOf(p.fields.found[0].raw)
	}
	if p.after != nil && !p.before(p.after, &at) || p.end != nil && !p.before(&at, p.end) {
		return true
	}
	heap.Push(&p.best, placed{at, e})
	p.bytes += e.Size()
	for n := len(p.best.nodes); n > p.limit || n > 1 && p.bytes > maxPageBytes; n-- {
		out := heap.Pop(&p.best).(placed)
		p.bytes -= out.Entry.Size()
		p.end = &out.place
	}
	return p.ordered || p.end == nil
}

func (p *pager) page() (page Page) {
	slices.SortFunc(p.best.nodes, func(a, b placed) int { return p.sign * a.compare(&b.place) })
	for _, node := range p.best.nodes {
		page.Nodes = append(page.Nodes, node.Entry)
	}
	if p.end != nil {
		last := &p.best.nodes[len(p.best.nodes)-1].place
		page.Cursor = last.cursor(p.order)
	}
	return page
}

// nearest is a heap.Interface, the last in the order at its top.
type nearest struct {
	nodes []placed
	sign  int
}

func (h *nearest) Len() int { return len(h.nodes) }
func (h *nearest) Less(i, j int) bool {
	return h.sign*h.nodes[i].compare(&h.nodes[j].place) > 0
}
func (h *nearest) Swap(i, j int) { h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i] }
func (h *nearest) Push(x any)    { h.nodes = append(h.nodes, x.(placed)) }
func (h *nearest) Pop() any {
	last := h.nodes[len(h.nodes)-1]
	h.nodes[len(h.nodes)-1] = placed{}
	h.nodes = h.nodes[:len(h.nodes)-1]
	return last
}
