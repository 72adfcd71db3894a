package graph

import "encoding/json"

// Entry is what a graph knows of one id: a node, or that a node was removed.
type Entry struct {
	ID string
	// Removed means that the node is gone; it has neither Value nor Edges then.
	Removed bool
	// Value is compact JSON. Edges are the ids of the nodes that it is linked to,
	// in the order in which they were added; they may name nodes that are gone.
	Value json.RawMessage
	Edges []string
	// Timestamp is that of the last operation; zero if that had none.
	Timestamp Timestamp
	// Extra are the fields of the operation that set Value, or removed the node,
	// which are not ours to understand, as a JSON object; nil if there were none.
	// They are served again as they came.
	Extra json.RawMessage
	// Seq says when the store took it: it rises with every change of the graph, and
	// is about the Unix time in microseconds. Each entry has the one of its last
	// change, so that all entries in the order of Seq are the graph's changes.
	Seq uint64
	// Live means that it came when it was made, or as good as, and not in the answer
	// to a question: whoever had it then was connected with the room.
	Live bool
}

// Size is the number of bytes of what it points to.
func (e *Entry) Size() int {
	n := len(e.ID) + len(e.Value) + len(e.Extra)
	for _, edge := range e.Edges {
		n += len(edge)
	}
	return n
}
