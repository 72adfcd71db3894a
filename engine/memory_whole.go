package engine

import "sync"

// whole remembers the messages that say everything, as long as nothing changes: a
// crowd that comes after a restart gets the same ones.
type whole struct {
	mu       sync.Mutex
	head     uint64
	messages [][][]byte // their frames
}

// maxWholePieces is how many messages are remembered; of a graph that needs more none.
const maxWholePieces = 8

// of returns the messages of the state at head, nil if they are not known.
func (w *whole) of(head uint64) [][][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head != head {
		return nil
	}
	return w.messages
}

func (w *whole) keep(head uint64, messages [][][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head, w.messages = head, messages
}
