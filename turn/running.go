package turn

import "sync"

// running are things of which each has a goroutine that ends once it is closed.
type running[T comparable] struct {
	mu     sync.Mutex
	closed bool
	open   map[T]struct{}
	wg     sync.WaitGroup
}

// add tells whether one more may run. Whoever runs it calls end at its end.
func (r *running[T]) add(t T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if r.open == nil {
		r.open = make(map[T]struct{})
	}
	r.open[t] = struct{}{}
	r.wg.Add(1)
	return true
}

func (r *running[T]) remove(t T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, t)
}

func (r *running[T]) end() { r.wg.Done() }

// close closes all, lets none be added, and waits for their ends.
func (r *running[T]) close(end func(T)) {
	r.mu.Lock()
	open := r.open
	r.open, r.closed = nil, true
	r.mu.Unlock()
	for t := range open {
		end(t)
	}
	r.wg.Wait()
}
