package engine_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/internal/bulk"
)

// BenchmarkLink sends small messages from seat to seat over one link in memory:
// each once the one before was acknowledged, and as many as the room takes.
func BenchmarkLink(b *testing.B) {
	for _, ahead := range []int{1, 256} {
		b.Run(fmt.Sprintf("ahead=%d", ahead), func(b *testing.B) {
			net := memnet.New()
			from, to := net.Endpoint("from"), net.Endpoint("to")
			l, err := bulk.New(b.Context(), bulk.End{Signaling: from, Transport: from}, bulk.End{Signaling: to, Transport: to})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				var buf []engine.Event
				for err := error(nil); err == nil; {
					buf, err = l.To.Next(context.Background(), buf[:0])
				}
			}()
			o := engine.Outgoing{Channel: "chat", To: []string{l.Target}, Progress: true, Content: text("hello")}
			var buf []engine.Event
			b.ReportAllocs()
			b.ResetTimer()
			for sent, arrived := 0, 0; arrived < b.N; {
				for ; sent < b.N && sent < arrived+ahead; sent++ {
					o.Ref++
					if err := l.From.Send(b.Context(), o); err != nil {
						b.Fatal(err)
					}
				}
				if buf, err = l.From.Next(b.Context(), buf[:0]); err != nil {
					b.Fatal(err)
				}
				for _, e := range buf {
					if _, ok := e.(engine.Progress); ok {
						arrived++
					}
				}
			}
		})
	}
}

// A room that nobody uses costs one goroutine and little memory, an open link none
// and little at each end: that of the network in memory included.
func TestIdleLinksAreSmall(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		const nodes = 40
		measure := func() (bytes, goroutines int) {
			settle(time.Minute)
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
		}
		open := func(name func(i int) string) {
			for i := range nodes {
				serve(t, net, fmt.Sprint(i), engine.RoomConfig{Name: name(i)}, engine.Limits{})
			}
		}
		empty, none := measure()
		open(func(i int) string { return fmt.Sprint("alone ", i) })
		alone, actors := measure()
		open(func(int) string { return "linked" })
		linked, after := measure()
		const halves = nodes * (nodes - 1)
		room, end := (alone-empty)/nodes, (linked-alone-(alone-empty))/halves
		goroutines := after - actors - (actors - none)
		t.Logf("%d bytes a room alone, %d more an end of a link", room, end)
		if room > 60<<10 || end > 4<<10 || actors-none > nodes || goroutines != 0 {
			t.Errorf("%d bytes and %d goroutines for %d rooms, %d bytes and %d goroutines for %d ends of links",
				alone-empty, actors-none, nodes, end*halves, goroutines, halves)
		}
	})
}
