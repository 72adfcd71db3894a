package engine

import (
	"sync"
	"sync/atomic"
)

// carried counts the links that are carrying a frame, and who gives it to them as one.
type carried struct {
	links atomic.Int64
	over  chan error // gets nil when there is none any more
}

func newCarried() *carried {
	c := &carried{over: make(chan error, 1)}
	c.links.Store(1)
	return c
}

func (c *carried) end() {
	if c.links.Add(-1) == 0 {
		c.over <- nil
	}
}

// by counts one more link, which is to get a number of frames. What it returns is told
// of them; be it that the link fails, others carry the frame.
func (c *carried) by(frames int) func(passed int, err error) {
	c.links.Add(1)
	var once sync.Once
	return func(passed int, err error) {
		if err != nil || passed == frames {
			once.Do(c.end)
		}
	}
}
