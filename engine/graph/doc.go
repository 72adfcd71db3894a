// Package graph is the graph of a room: GenosDB's clock, operations and rules of
// merging, the answers to those who ask for what they lack, and queries
// (docs/protocol.md, "Sync"). It does no I/O of its own and starts no goroutine; what
// it knows is in a Store.
package graph
