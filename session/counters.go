package session

import (
	"slices"
	"sync/atomic"
)

// Counters are running totals that many sessions share. The zero value is
// ready.
type Counters struct {
	errors [len(codes)]atomic.Uint64
	slow   atomic.Uint64
}

func (c *Counters) count(code Code) {
	if i := slices.Index(codes[:], code); i >= 0 {
		c.errors[i].Add(1)
	}
}

// Errors returns how often clients were told each code. Codes that never
// occurred are left out.
func (c *Counters) Errors() map[Code]uint64 {
	m := make(map[Code]uint64)
	for i, code := range codes {
		if n := c.errors[i].Load(); n > 0 {
			m[code] = n
		}
	}
	return m
}

// Slow is the number of sessions that were cut off because their client did
// not read.
func (c *Counters) Slow() uint64 { return c.slow.Load() }
