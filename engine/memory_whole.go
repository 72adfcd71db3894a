package engine

import "sync"

// whole remembers the message that says everything, as long as nothing changes: a
// crowd that comes after a restart gets the same one.
type whole struct {
	mu     sync.Mutex
	head   uint64
	frames [][]byte
}

// of returns the message of the state at head, nil if it is not known.
func (w *whole) of(head uint64) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head != head {
		return nil
	}
	return w.frames
}

func (w *whole) keep(head uint64, frames [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head, w.frames = head, frames
}
