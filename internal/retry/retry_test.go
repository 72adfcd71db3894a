package retry

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDelaysDoubleUpToTheCap(t *testing.T) {
	var d Delays
	middle := func() float64 { return 0.5 }
	want := []time.Duration{1, 2, 4, 8, 16, 20, 20, 20}
	for range 2 {
		var got []time.Duration
		for range want {
			got = append(got, d.Next(middle)/time.Second)
		}
		if !slices.Equal(got, want) {
			t.Errorf("delays %v s, want %v", got, want)
		}
		d.Reset()
	}
}

func TestDelaysAreSpread(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)).Float64
	seen := map[time.Duration]bool{}
	for range 100 {
		var d Delays
		first := d.Next(random)
		if first < 500*time.Millisecond || first >= 1500*time.Millisecond {
			t.Errorf("a first delay of %v", first)
		}
		seen[first] = true
		for range 10 {
			d.Next(random)
		}
		if last := d.Next(random); last < 10*time.Second || last >= 30*time.Second {
			t.Errorf("a last delay of %v", last)
		}
	}
	if len(seen) < 90 {
		t.Errorf("only %d different delays of 100", len(seen))
	}
}
