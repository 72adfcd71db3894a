//go:build race

package journal

// slowed is how much longer things may take, as the race detector slows them.
const slowed = 20
