package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// fill makes a graph of nodes of some bytes of JSON.
func fill(t testing.TB, g *Graph, nodes, size int) {
	t.Helper()
	for i := range nodes {
		if err := g.Set(node(nodeID(i), size, int64(i))); err != nil {
			t.Fatal(err)
		}
		if i%5000 == 4999 || i == nodes-1 {
			if err := g.Wait(t.Context(), g.Staged()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// nodeID is as GenosDB makes them: 36 characters in no order.
func nodeID(i int) string {
	h := uint64(i) * 0x9E3779B97F4A7C15
	return fmt.Sprintf("%08x-%04x-4%03x-a000-%012x", uint32(h), uint16(h>>32), h>>52, i)
}

// written is how many bytes the process had the kernel write, by all of pwrite, and
// how many pages of them went to a disk.
func written(t testing.TB) (calls, disk int64) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		n, _ := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		switch string(name) {
		case "wchar":
			calls = n
		case "write_bytes":
			disk = n
		}
	}
	return calls, disk
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkGraphPut changes single nodes of a graph of 20,000, one after the other.
func BenchmarkGraphPut(b *testing.B) {
	g := openGraph(b, filepath.Join(b.TempDir(), "graph.db"))
	fill(b, g, 20_000, 300)
	var took []time.Duration
	calls, disk := written(b)
	used := cpu()
	i := 0
	for b.Loop() {
		i++
		start := time.Now()
		set(b, g, node(nodeID(i*7919%20_000), 300, int64(i)))
		took = append(took, time.Since(start))
	}
	used = cpu() - used
	calls2, disk2 := written(b)
	n := float64(len(took))
	slices.Sort(took)
	b.ReportMetric(float64(calls2-calls)/n, "pwrite-B/put")
	b.ReportMetric(float64(disk2-disk)/n, "disk-B/put")
	b.ReportMetric(used.Seconds()*1e3/n, "cpu-ms/put")
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(g.Stats().FileSize)/1e6, "file-MB")
}

// BenchmarkGraphConcurrentPuts changes nodes of a graph of 20,000 for 200 callers,
// each of whom waits for the disk.
func BenchmarkGraphConcurrentPuts(b *testing.B) {
	g := openGraph(b, filepath.Join(b.TempDir(), "graph.db"))
	fill(b, g, 20_000, 300)
	calls, _ := written(b)
	commits := g.Stats().Commits
	var actor sync.Mutex // stands for the goroutine that sets
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(100)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			start := time.Now()
			mu.Lock()
			i := len(took)
			took = append(took, 0)
			mu.Unlock()
			actor.Lock()
			err := g.Set(node(nodeID(i*7919%20_000), 300, int64(i)))
			seq := g.Staged()
			actor.Unlock()
			if err == nil {
				err = g.Wait(b.Context(), seq)
			}
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			took[i] = time.Since(start)
			mu.Unlock()
		}
	})
	calls2, _ := written(b)
	slices.Sort(took)
	n := float64(len(took))
	b.ReportMetric(n/b.Elapsed().Seconds(), "puts/s")
	b.ReportMetric(float64(calls2-calls)/n, "pwrite-B/put")
	b.ReportMetric(n/float64(g.Stats().Commits-commits), "puts/commit")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

// BenchmarkGraphOpen opens a graph of 200,000 nodes, and then reads its changes from
// the first on.
func BenchmarkGraphOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "graph.db")
	g := openGraph(b, path)
	fill(b, g, 200_000, 300)
	for b.Loop() {
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
		g = openGraph(b, path)
	}
	b.ReportMetric(float64(g.Stats().FileSize)/1e6, "file-MB")
	start, n := time.Now(), 0
	for after := uint64(0); after < g.Head(); {
		changes, err := g.Changes(b.Context(), after, 1000)
		if err != nil {
			b.Fatal(err)
		}
		n += len(changes)
		after = changes[len(changes)-1].Seq
	}
	b.ReportMetric(time.Since(start).Seconds()*1e3/float64(n)*1000, "ms/1000-changes")
	start, n = time.Now(), 0
	if err := g.Scan("", func(graph.Entry) bool { n++; return true }); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(start).Seconds()*1e3, "scan-ms")
}
