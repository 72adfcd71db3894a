package histogram

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A quantile is that of the sorted durations, up to a 32nd.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.SliceOfN(rapid.Int64Range(0, 100_000_000), 1, 200).Draw(t, "us")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h Histogram
		for _, n := range us {
			h.Add(time.Duration(n) * time.Microsecond)
		}
		slices.Sort(us)
		want := time.Duration(us[int(q*float64(len(us)-1))]) * time.Microsecond
		got := h.Quantile(q)
		if got < want || got > want+want/precision {
			t.Fatalf("quantile %v of %v: %v, want %v", q, us, got, want)
		}
	})
}

func TestQuantileOfNothing(t *testing.T) {
	if got := new(Histogram).Quantile(0.99); got != 0 {
		t.Errorf("%v", got)
	}
}

// Every duration is in a bucket whose bound is not below it, and bounds grow.
func TestBuckets(t *testing.T) {
	for i := 1; i < len(Histogram{}.counts); i++ {
		if upperBound(i) <= upperBound(i-1) || bucketOf(upperBound(i)) != i {
			t.Fatalf("bucket %d ends at %v, which is in bucket %d", i, upperBound(i), bucketOf(upperBound(i)))
		}
	}
	new(Histogram).Add(-time.Second)
	new(Histogram).Add(1 << 62)
}
