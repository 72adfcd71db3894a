// Package cells is the cellular mesh of GenosRTC (docs/protocol.md, "Cells"): who has
// which place in it, what is said on its channels, and when a roster is sealed. All of
// it is a function of what the caller hands in. It does no I/O, starts no goroutine and
// reads no clock.
package cells
