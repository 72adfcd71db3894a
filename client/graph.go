package client

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// maxRequests is how many requests may be under way; the server reads no more.
const maxRequests = 64

// Graph is the graph of a room, as the server keeps it (docs/gateway.md, "The
// graph"). Its calls wait while there is no connection. They fail with a *GraphError
// where the server refuses, with the room's Err, and with ctx's error: then a change
// may or may not be made.
type Graph struct{ room *Room }

// Graph is the room's graph. It may be used by several goroutines.
func (r *Room) Graph() *Graph { return &Graph{r} }

// Timestamp says when a node was changed last, by GenosDB's hybrid logical clock.
type Timestamp struct {
	Physical int64  `json:"physical"` // Unix milliseconds
	Logical  uint64 `json:"logical"`
}

// Node is a node of the graph. Value is as Message.Data, without []byte. Edges are
// the ids of the nodes that it is linked to; in a watch they may name some that were
// removed. Seq is the place of its last change in the order of all changes.
type Node struct {
	ID        string
	Value     any
	Edges     []string
	Timestamp Timestamp
	Seq       uint64
	Removed   bool
}

// GraphError is why the server refused a request: "unknown_node", "changed",
// "forbidden", "no_graph" and others (docs/gateway.md, "error").
type GraphError struct {
	Code string
	Text string // for people
}

func (e *GraphError) Error() string { return "client: graph: " + e.Code + ": " + e.Text }

// Condition is what a node must be for a change to be made; else that fails with
// "changed". A write whose answer was lost with a connection is made again: with a
// condition it may fail by what it did itself, without one it is made twice.
type Condition func(*frame)

// IfAbsent wants that there is no such node.
func IfAbsent() Condition { return func(f *frame) { f.Expect = "absent" } }

// IfExists wants that there is one.
func IfExists() Condition { return func(f *frame) { f.Expect = "exists" } }

// IfUnchanged wants that the node's timestamp is still t.
func IfUnchanged(t Timestamp) Condition { return func(f *frame) { f.Expect = t } }

// Put sets a node's value, which is what encoding/json takes, and returns the node
// once it is on the server's disk. Its edges stay. An empty id makes a new node.
func (g *Graph) Put(ctx context.Context, id string, value any, is ...Condition) (Node, error) {
	if id == "" {
		id = uuid.NewString() // not the server's: it may be asked twice
	}
	return g.write(ctx, frame{Op: opPut, Node: id}, value, is)
}

// Patch changes the fields of a node's value that patch has, and removes those that
// are null in it (RFC 7396).
func (g *Graph) Patch(ctx context.Context, id string, patch any, is ...Condition) (Node, error) {
	return g.write(ctx, frame{Op: opPatch, Node: id}, patch, is)
}

func (g *Graph) write(ctx context.Context, f frame, value any, is []Condition) (Node, error) {
	if _, ok := value.([]byte); ok {
		return Node{}, &GraphError{"bad_data", "a node's value cannot be bytes"}
	}
	var err error
	if f.Data, err = newData(value); err != nil {
		return Node{}, err
	}
	return g.ask(ctx, f, is)
}

// Remove removes a node.
func (g *Graph) Remove(ctx context.Context, id string, is ...Condition) error {
	_, err := g.ask(ctx, frame{Op: opRemove, Node: id}, is)
	return err
}

// Link adds an edge from one node to another, and returns the former.
func (g *Graph) Link(ctx context.Context, source, target string, is ...Condition) (Node, error) {
	return g.ask(ctx, frame{Op: opLink, Node: source, Target: target}, is)
}

// Get returns a node, as it is after the changes that were asked for before.
func (g *Graph) Get(ctx context.Context, id string) (Node, error) {
	return g.ask(ctx, frame{Op: opGet, Node: id}, nil)
}

// asking is a request that waits for its answer.
type asking struct {
	raw    []byte // as it is sent, and sent again
	answer chan *frame
}

// graphCalls are the requests and watches of a room. Guarded by Room.mu.
type graphCalls struct {
	last    uint64        // the id of the last request or watch
	slots   chan struct{} // holds a token for each request
	asked   map[uint64]*asking
	watches map[uint64]*watching
}

func (g *graphCalls) init() {
	g.slots = make(chan struct{}, maxRequests)
	g.asked = map[uint64]*asking{}
	g.watches = map[uint64]*watching{}
}

// next is the id of another request.
func (g *graphCalls) next() *uint64 {
	g.last++
	return new(g.last)
}

// ask sends a request, again after each loss of the connection, until it is answered.
func (g *Graph) ask(ctx context.Context, f frame, is []Condition) (Node, error) {
	r := g.room
	for _, condition := range is {
		condition(&f)
	}
	select {
	case r.graph.slots <- struct{}{}:
		defer func() { <-r.graph.slots }()
	case <-r.ctx.Done():
		return Node{}, r.Err()
	case <-ctx.Done():
		return Node{}, fmt.Errorf("client: %s %q: too many are under way: %w", f.Op, f.Node, ctx.Err())
	}
	a, err := r.ask(&f)
	if err != nil {
		return Node{}, fmt.Errorf("client: %s %q: %w", f.Op, f.Node, err)
	}
	select {
	case answer := <-a.answer:
		if answer.Op == opError {
			return Node{}, &GraphError{answer.Code, answer.Text}
		}
		return answer.node(), nil
	case <-r.ctx.Done():
		return Node{}, r.Err()
	case <-ctx.Done():
		r.mu.Lock()
		delete(r.graph.asked, *f.ID)
		r.mu.Unlock()
		return Node{}, fmt.Errorf("client: %s %q: %w", f.Op, f.Node, ctx.Err())
	}
}

func (r *Room) ask(f *frame) (*asking, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.ID = r.graph.next()
	raw, err := r.codec.encode(f)
	if err != nil {
		return nil, err
	}
	// What is larger ends the connection, and would end the next one too.
	if most := 2 * r.limits.Message; int64(len(raw)) > most {
		return nil, &GraphError{"too_large", fmt.Sprintf("%d bytes, at most %d", len(raw), most)}
	}
	a := &asking{raw, make(chan *frame, 1)}
	r.graph.asked[*f.ID] = a
	if r.conn != nil {
		r.conn.queue(raw)
	}
	return a, nil
}

// graphAgain asks on a new connection what was not answered on those before. Needs
// r.mu.
func (r *Room) graphAgain() {
	for _, id := range slices.Sorted(maps.Keys(r.graph.asked)) {
		r.conn.queue(r.graph.asked[id].raw)
	}
	for _, w := range r.graph.watches {
		r.conn.post(w.frame())
	}
}

// graphFrame handles an answer or what a watch tells. It reports whether it was one.
func (r *Room) graphFrame(f *frame, size int) bool {
	if f.ID == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.graph.asked[*f.ID]; a != nil {
		delete(r.graph.asked, *f.ID)
		a.answer <- f
		return true
	}
	w := r.graph.watches[*f.ID]
	if w != nil {
		w.take(f, size)
	}
	// What is late belongs to nobody any more.
	return w != nil || f.Op != opError
}

func (f *frame) node() Node {
	n := Node{ID: f.Node, Edges: f.Edges, Seq: f.Seq, Removed: f.Removed}
	if f.Data != nil {
		n.Value = f.Data.v
	}
	if f.Timestamp != nil {
		n.Timestamp = *f.Timestamp
	}
	return n
}
