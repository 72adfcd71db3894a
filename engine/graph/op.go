package graph

import "encoding/json"

// MaxID is the number of bytes that a node's id can have.
const MaxID = 1024

// Kind is what an Op does.
type Kind uint8

// The kinds of operations.
const (
	Upsert Kind = iota + 1 // sets a node's value
	Remove                 // removes a node
	Link                   // adds an edge
)

// Op is one operation on a graph.
type Op struct {
	Kind Kind
	// ID is the node's; of a Link, that of the edge's source.
	ID string
	// Target is that of a Link's edge.
	Target string
	// Value is what an Upsert sets: compact JSON. A live Remove may have the old one.
	Value json.RawMessage
	// Timestamp is zero if the operation had none.
	Timestamp Timestamp
	// Extra are the fields that are not ours to understand, as a JSON object; nil if
	// there were none.
	Extra json.RawMessage
}

// FullState is a sender's whole graph: a `fullStateSync`.
type FullState struct {
	Nodes    []Entry
	Removals []Op
	// Timestamp is the highest that the sender has applied.
	Timestamp Timestamp
}

// Message is what one message on channel syncGraph says.
type Message struct {
	// Ops are live: their sender just made them.
	Ops []Op
	// Asked is the timestamp of a `sync`, a question for what is newer; nil if
	// there was none, zero if it was null: then everything is asked for.
	Asked *Timestamp
	// Delta are the operations of a `deltaSync`, an answer.
	Delta []Op
	Full  *FullState
	// Bad is the number of operations and nodes that were skipped, as they were not
	// what they should be. Types that are not known, and upserts without a value,
	// which browsers send of nodes that are gone, do not count.
	Bad int
}
