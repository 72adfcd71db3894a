package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// BenchmarkMessage is the way of one message of 200 bytes from a seat to another,
// with and without the journal: the difference of the medians is its price.
func BenchmarkMessage(b *testing.B) {
	for name, resume := range map[string]time.Duration{"journal": time.Minute, "none": 0} {
		b.Run(name, func(b *testing.B) {
			e := memnet.New().Endpoint("server")
			n := engine.New(engine.Config{Signaling: e, Transport: e, Logger: slog.New(slog.DiscardHandler), Dir: b.TempDir()})
			defer n.Close(context.Background())
			room, err := n.Open(engine.RoomConfig{Name: "demo"})
			if err != nil {
				b.Fatal(err)
			}
			join := func() *engine.Attachment {
				s, _, err := room.Join(b.Context(), engine.SeatConfig{Resume: resume})
				if err != nil {
					b.Fatal(err)
				}
				return s
			}
			from, to := join(), join()
			content := engine.Content{Kind: engine.Binary, Data: make([]byte, 200)}
			took := make([]time.Duration, 0, b.N)
			var events []engine.Event
			for ref := uint64(1); b.Loop(); ref++ {
				start := time.Now()
				if err := from.Send(b.Context(), engine.Outgoing{Ref: ref, Channel: "c", Content: content}); err != nil {
					b.Fatal(err)
				}
				for got := false; !got; {
					if events, err = to.Next(b.Context(), events[:0]); err != nil {
						b.Fatal(err)
					}
					_, got = events[len(events)-1].(*engine.Message)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "median-ns")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
