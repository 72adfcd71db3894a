// Package histogram counts durations.
package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations, to a precision of 1/32, in little memory however
// many they are. Several goroutines may add to it.
type Histogram struct {
	counts [precision * 40]atomic.Uint64
}

const precision = 32

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[min(bucketOf(d), len(h.counts)-1)].Add(1)
}

// bucketOf numbers the microseconds below 2*precision one by one, and then each
// octave in as many steps as precision says.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	shift := max(bits.Len64(us/precision)-1, 0)
	return shift*precision + int(us>>shift)
}

// upperBound is the longest duration of a bucket.
func upperBound(bucket int) time.Duration {
	shift := max(bucket/precision-1, 0)
	us := int64(bucket-shift*precision+1)<<shift - 1
	return time.Duration(us) * time.Microsecond
}

// Quantile returns a duration that the fraction q of all do not exceed; 0 if
// there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	want := uint64(q*float64(total-min(total, 1))) + 1
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); total > 0 && seen >= want {
			return upperBound(i)
		}
	}
	return 0
}
