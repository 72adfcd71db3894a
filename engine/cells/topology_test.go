package cells

import (
	"fmt"
	"testing"
)

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("peer%016x", i*2654435761)
	}
	return list
}

// A peer joins a room of n, and another leaves it.
func benchmarkJoin(b *testing.B, n int) {
	list := ids(2 * n)
	t := New(DefaultSize, list[:n]...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t.Add(list[(n+i)%len(list)])
		t.Remove(list[i%len(list)])
	}
}

// A room grows from n to n+n/10.
func benchmarkGrow(b *testing.B, n int) {
	list := ids(n + n/10)
	for b.Loop() {
		b.StopTimer()
		t := New(DefaultSize, list[:n]...)
		b.StartTimer()
		for _, id := range list[n:] {
			t.Add(id)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n/10), "µs/join")
}

func BenchmarkJoin10000(b *testing.B)  { benchmarkGrow(b, 10000) }
func BenchmarkJoin100000(b *testing.B) { benchmarkGrow(b, 100000) }
func BenchmarkChurn10000(b *testing.B) { benchmarkJoin(b, 10000) }
