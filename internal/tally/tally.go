// Package tally counts by name what was refused, dropped, or came to something.
package tally

import (
	"maps"
	"sync"
)

// Tally counts by key. The zero value is ready, and several goroutines may use it. It
// keeps every key that it was given: they must be few, such as a package's constants.
type Tally[K comparable] struct {
	mu sync.Mutex
	n  map[K]uint64
}

// Add counts one more of key.
func (t *Tally[K]) Add(key K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[K]uint64)
	}
	t.n[key]++
}

// Counts is a copy of all counts that are not 0; nil if there are none.
func (t *Tally[K]) Counts() map[K]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}
