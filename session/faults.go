package session

import "time"

// A client may be at fault less than maxFaults times within faultTime.
const (
	maxFaults = 100
	faultTime = time.Minute
)

// faults remembers when the last faults of a client were.
type faults struct{ times []time.Time }

// tooMany adds a fault and tells whether there were maxFaults within faultTime.
func (f *faults) tooMany(now time.Time) bool {
	for len(f.times) > 0 && now.Sub(f.times[0]) >= faultTime {
		f.times = f.times[1:]
	}
	f.times = append(f.times, now)
	return len(f.times) >= maxFaults
}
