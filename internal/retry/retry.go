// Package retry holds the one policy of waiting between attempts: of
// connecting to relays, of dialling links, and of whatever else is tried until
// it works.
package retry

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The delays before jitter.
const (
	first = time.Second
	most  = 20 * time.Second
)

// Delays are the waits between the attempts of one thing: 0.5 to 1.5 s at
// first, each twice the one before, 10 to 30 s in the end. The jitter of half
// the delay keeps those apart that failed together, as when a server went down
// that all of them used. The zero value is ready. It is not safe for use by
// several goroutines.
type Delays struct {
	exponential backoff.ExponentialBackOff
}

// Next is the wait after another failure. random gives the jitter, evenly from
// 0 to 1, as math/rand/v2.Float64 does.
func (d *Delays) Next(random func() float64) time.Duration {
	// The library's own jitter cannot be given a source.
	d.exponential.InitialInterval, d.exponential.MaxInterval, d.exponential.Multiplier = first, most, 2
	delay := float64(d.exponential.NextBackOff())
	return time.Duration(delay/2 + delay*random())
}

// Reset has the next wait be a first one again: it worked.
func (d *Delays) Reset() { *d = Delays{} }
