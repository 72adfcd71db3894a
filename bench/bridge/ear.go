package main

import (
	"fmt"
	"sync"
	"time"
)

// ear counts what arrives at one of the driver's ends.
type ear struct {
	end
	change chan struct{} // has room for one token

	mu        sync.Mutex
	count     int
	err       error
	timed     bool
	latencies []time.Duration
}

// listen begins to receive.
func listen(e end) *ear {
	a := &ear{end: e, change: make(chan struct{}, 1)}
	go func() {
		err := e.receive(a.heard)
		a.mu.Lock()
		a.err = fmt.Errorf("receive: %w", err)
		a.mu.Unlock()
		a.notify()
	}()
	return a
}

func (a *ear) heard(stamp uint64) {
	a.mu.Lock()
	a.count++
	if a.timed {
		a.latencies = append(a.latencies, time.Since(time.Unix(0, int64(stamp))))
	}
	a.mu.Unlock()
	a.notify()
}

func (a *ear) notify() {
	select {
	case a.change <- struct{}{}:
	default:
	}
}

// begin begins to count from 0, with latencies if timed.
func (a *ear) begin(timed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count, a.timed, a.latencies = 0, timed, nil
}

// await waits until n messages have arrived.
func (a *ear) await(n int) error {
	for {
		a.mu.Lock()
		count, err := a.count, a.err
		a.mu.Unlock()
		if err != nil || count >= n {
			return err
		}
		select {
		case <-a.change:
		case <-time.After(patience):
			return fmt.Errorf("only %d of %d messages arrived", count, n)
		}
	}
}
