package engine_test

import (
	"context"
	"fmt"
	"testing"

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

