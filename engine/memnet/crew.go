package memnet

import "sync"

// crew does jobs, in goroutines of its own. A job may block for as long as it likes, and
// holds up no other: there is always somebody to take the next one. Who is done takes the
// next one too, so that many short jobs need few goroutines; who finds none ends.
type crew struct {
	mu   sync.Mutex
	jobs []job
	free int // workers that will look for a job
}

type job interface{ run() }

func (c *crew) do(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs = append(c.jobs, j)
	c.recruit()
}

// recruit sees to it that somebody looks for a job, if there is one. It needs the lock.
func (c *crew) recruit() {
	if len(c.jobs) > 0 && c.free == 0 {
		c.free++
		go c.work()
	}
}

func (c *crew) work() {
	for {
		j := c.next()
		if j == nil {
			return
		}
		j.run()
		c.mu.Lock()
		c.free++
		c.mu.Unlock()
	}
}

// next is nil if there is no job.
func (c *crew) next() (j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free--
	if len(c.jobs) == 0 {
		c.jobs = nil
		return nil
	}
	j, c.jobs[0] = c.jobs[0], nil
	c.jobs = c.jobs[1:]
	c.recruit()
	return j
}
