package graph

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// sample is a graph of n nodes of about 300 bytes, with some edges.
func sample(tb testing.TB, n int) (*table, *Replica) {
	now := time.UnixMilli(1795351032125)
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	for i := range n {
		now = now.Add(time.Millisecond)
		id := fmt.Sprintf("a1727c42-8201-40ff-8949-%012d", i)
		value := fmt.Sprintf(`{"kind":"task","n":%d,"title":"Task number %d of many","tags":["alpha","beta","γ"],"done":%v,"text":"%0180d"}`, i, i, i%2 == 0, i*7919)
		if _, err := r.Put(id, json.RawMessage(value), now); err != nil {
			tb.Fatal(err)
		}
		for j := range i % 4 {
			if _, err := r.Link(id, fmt.Sprintf("a1727c42-8201-40ff-8949-%012d", i/(j+2)), now); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return s, r
}

func BenchmarkDecodeFullState(b *testing.B) {
	s, r := sample(b, 5000)
	a, err := NewAnswer(s.scan, s.Entry, Asker{})
	if err != nil {
		b.Fatal(err)
	}
	whole := a.Whole(r.Last())
	b.SetBytes(int64(len(whole)))
	for b.Loop() {
		if m, err := Decode(whole); err != nil || len(m.Full.Nodes) != 5000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeLive(b *testing.B) {
	message := Encode(Op{Kind: Upsert, ID: "a1727c42-8201-40ff-8949-76f7e92cc8aa", Value: json.RawMessage(`{"text":"hello","n":2}`), Timestamp: Timestamp{1795351032125, 7}})
	for b.Loop() {
		if _, err := Decode(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{5000, 50_000} {
		s, r := sample(b, n)
		b.Run(fmt.Sprint("whole-", n), func(b *testing.B) {
			for b.Loop() {
				a, err := NewAnswer(s.scan, s.Entry, Asker{})
				if err != nil || a.Whole(r.Last()) == nil && n < 10_000 {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("batches-", n), func(b *testing.B) {
			for b.Loop() {
				a, err := NewAnswer(s.scan, s.Entry, Asker{})
				if err != nil {
					b.Fatal(err)
				}
				bytes := 0
				for batch, err := range a.Batches(256 << 10) {
					if err != nil {
						b.Fatal(err)
					}
					bytes += len(batch)
				}
				b.ReportMetric(float64(bytes), "B/answer")
			}
		})
	}
}
