package tally

import (
	"maps"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTally(t *testing.T) {
	var tally Tally[string]
	if got := tally.Counts(); got != nil {
		t.Errorf("nothing was counted, and there is %v", got)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				tally.Add("a")
				clear(tally.Counts()) // is a copy
			}
		})
	}
	wg.Wait()
	tally.Add("b")
	if got, want := tally.Counts(), map[string]uint64{"a": 800, "b": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
