package engine

import "time"

// Clock is the engine's time. A simulation gives it its own.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in a goroutine of the clock after d, unless stop is
	// called before.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// SystemClock is the machine's time, or the virtual time of testing/synctest.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (SystemClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}
