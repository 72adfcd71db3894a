package memnet

import (
	"container/heap"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// schedule runs what the network does at a later time: one after the other, by
// time, and in the order of their making where the time is the same. So a
// history depends on its seed and not on which goroutine was first.
type schedule struct {
	clock engine.Clock
	crew  crew

	mu    sync.Mutex
	due   events
	made  uint64
	next  time.Time // that the clock was asked to wake us
	stop  func()
	alive bool // a goroutine runs what is due
}

type event struct {
	at     time.Time
	number uint64
	do     func()
}

// at runs do at a time, or soon if it has passed.
func (s *schedule) at(t time.Time, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	heap.Push(&s.due, event{t, s.made, do})
	if !s.alive {
		s.arm()
	}
}

// arm has the clock wake us for the first event. It needs the lock.
func (s *schedule) arm() {
	first := s.due[0].at
	if s.stop != nil {
		if !first.Before(s.next) {
			return
		}
		s.stop()
	}
	s.next = first
	s.stop = s.clock.AfterFunc(first.Sub(s.clock.Now()), s.run)
}

func (s *schedule) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive {
		return // woken twice
	}
	s.alive, s.stop = true, nil
	for len(s.due) > 0 && !s.due[0].at.After(s.clock.Now()) {
		e := heap.Pop(&s.due).(event)
		s.mu.Unlock()
		e.do()
		s.mu.Lock()
	}
	s.alive = false
	if len(s.due) > 0 {
		s.arm()
	}
}

// events is a heap.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].number < e[j].number
	}
	return e[i].at.Before(e[j].at)
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}
