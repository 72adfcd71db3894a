package engine

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// Errors of a Memory.
var (
	ErrNoNode    = errors.New("there is no such node")
	ErrChanged   = errors.New("the node is not as it was expected to be")
	ErrNodeID    = errors.New("a node's id has 1 to 1024 bytes of UTF-8")
	ErrGraphFull = errors.New("the room's graph is full")
)

// MaxNodeID is the number of bytes that a node's id can have.
const MaxNodeID = 1024

// Memory is the graph of a room: it takes part in the synchronisation of the room's
// browsers, and keeps what they wrote. What it has acknowledged survives the end of
// the process and, as it is on the disk then, of the machine. Its methods may be used
// by several goroutines.
type Memory struct {
	room *Room
}

// Expect is what a node must be for a change to be made; the zero Expect is anything.
type Expect struct {
	// Absent: it must not exist.
	Absent bool
	// Exists: it must exist.
	Exists bool
	// Timestamp, if it is not nil, must be the node's.
	Timestamp *graph.Timestamp
}

// Memory is the room's graph; nil if it keeps none.
func (r *Room) Memory() *Memory { return nil }

// Get returns a node, with the edges to nodes that exist, as the disk has it. It
// fails with ErrNoNode.
func (m *Memory) Get(id string) (graph.Entry, error) { return graph.Entry{}, ErrNoNode }

// Put sets a node's value, JSON, and returns it once it is on the disk. Its edges
// stay. Peers hear of it at once. It fails with ErrChanged, ErrNodeID, ErrTooLarge,
// ErrGraphFull, ErrClosed, or as the disk does. When ctx ends before, it fails with its error,
// and the change may or may not have been made.
func (m *Memory) Put(ctx context.Context, id string, value json.RawMessage, is Expect) (graph.Entry, error) {
	return graph.Entry{}, ErrClosed
}

// Patch changes a node's value by a JSON Merge Patch (RFC 7396). It fails as Put
// does, and with ErrNoNode.
func (m *Memory) Patch(ctx context.Context, id string, patch json.RawMessage, is Expect) (graph.Entry, error) {
	return graph.Entry{}, ErrClosed
}

// Remove removes a node. It fails as Put does, and with ErrNoNode.
func (m *Memory) Remove(ctx context.Context, id string, is Expect) (graph.Entry, error) {
	return graph.Entry{}, ErrClosed
}

// Link adds an edge from a node to another. It fails as Put does, and with ErrNoNode
// where one of them does not exist.
func (m *Memory) Link(ctx context.Context, source, target string, is Expect) (graph.Entry, error) {
	return graph.Entry{}, ErrClosed
}

// Scan calls yield with every node as the disk has it, in the order of ids (by bytes), from the first id
// that is not less than from. It ends when yield returns false. Edges may name nodes
// that are gone. The entry's slices are the callee's to keep.
func (m *Memory) Scan(ctx context.Context, from string, yield func(graph.Entry) bool) error {
	return ErrClosed
}

// Head is the Seq of the graph's last change that is on the disk.
func (m *Memory) Head() uint64 { return 0 }

// Changes waits until there are entries that changed after the change with the Seq
// after, and returns some, the first of them first, removed ones too. Of an entry
// that changed several times there is the last. after 0 begins with the whole
// graph. Nothing is lost on who calls it again with the last Seq that it got, be it
// after a restart of the process. It fails with ErrClosed and with ctx's error.
func (m *Memory) Changes(ctx context.Context, after uint64) ([]graph.Entry, error) {
	return nil, ErrClosed
}
