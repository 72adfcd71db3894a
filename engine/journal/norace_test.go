//go:build !race

package journal

// slowed is how much longer things may take under the race detector.
const slowed = 1
