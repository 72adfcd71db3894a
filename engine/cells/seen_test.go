package cells

import (
	"math"
	"runtime"
	"strconv"
	"testing"
)

func TestSeen(t *testing.T) {
	var s Seen
	add := func(n int, want bool) {
		t.Helper()
		if s.Add(strconv.Itoa(n)) != want {
			t.Fatalf("%d: not %v", n, want)
		}
		if len(s.ids) > MaxSeen || len(s.ids) != len(s.order) {
			t.Fatalf("%d ids, %d in order", len(s.ids), len(s.order))
		}
	}
	for n := range MaxSeen {
		add(n, true)
	}
	for n := range MaxSeen {
		add(n, false)
	}
	// One more, and the first is forgotten: that it came again did not make it younger.
	add(MaxSeen, true)
	add(1, false)
	add(0, true) // and now 1 is
	add(1, true)
	for n := range 3 * MaxSeen {
		add(10*MaxSeen+n, true)
	}
	for n := range MaxSeen {
		add(12*MaxSeen+n, false)
	}
	add(12*MaxSeen-1, true)
}

// There may be thousands in a process, and in most of them few frames pass.
func TestSeenIsSmall(t *testing.T) {
	const frames, most = 20, 2048
	ids := ids(frames)
	least := uint64(math.MaxUint64) // the runtime allocates now and then, too
	for range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var s Seen
		for _, id := range ids {
			s.Add(id)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if least > most {
		t.Errorf("%d ids cost %d bytes", frames, least)
	}
}

func BenchmarkSeen(b *testing.B) {
	var s Seen
	ids := ids(4 * MaxSeen)
	for i := 0; b.Loop(); i++ {
		s.Add(ids[i%len(ids)])
	}
}
