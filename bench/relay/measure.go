package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/nbd-wtf/go-nostr"
)

// sizes are those of the load.
type sizes struct {
	warmup      int // events before each of the first two phases
	events      int // in each of them
	sparse      int // in the third, whose deliveries are timed
	publishers  int
	subscribers int
	window      int // events under way, of all publishers together
}

// sparsePeriod is the pace of the third phase.
const sparsePeriod = 50 * time.Millisecond

func (s sizes) total() int { return 2*s.warmup + 2*s.events + s.sparse }

// The rows of the table.
const (
	ingestRate   = "ingest, verified events/s"
	ingestCPU    = "ingest, relay's CPU us/event"
	ingestDriver = "ingest, driver's CPU us/event"
	fanOutRate   = "fan-out, events/s"
	deliveryRate = "fan-out, deliveries/s"
	fanOutCPU    = "fan-out, relay's CPU us/event"
	fanOutDriver = "fan-out, driver's CPU us/event"
	latencyP50   = "latency p50, ms"
	latencyP99   = "latency p99, ms"
	peakMemory   = "memory at the peak, MiB"
)

var metrics = []rounds.Metric{
	{Name: ingestRate}, {Name: ingestCPU}, {Name: ingestDriver},
	{Name: fanOutRate}, {Name: deliveryRate}, {Name: fanOutCPU}, {Name: fanOutDriver},
	{Name: latencyP50, Decimals: 2}, {Name: latencyP99, Decimals: 2},
	{Name: peakMemory},
}

// measure puts the load on a relay.
func measure(ctx context.Context, relay *running, topic string, s sizes, events []browser.Event) (rounds.Values, error) {
	l := newLoad(ctx, events)
	defer l.close()
	values := rounds.Values{}
	next := 0
	phase := func(rate, cpu, driverCPU string) error {
		if err := l.publish(next, next+s.warmup, 0); err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
		next += s.warmup
		start, used, usedHere := time.Now(), process.CPU(relay.pid), process.CPU(process.Self())
		if err := l.publish(next, next+s.events, 0); err != nil {
			return err
		}
		values[rate] = float64(s.events) / time.Since(start).Seconds()
		values[cpu] = (process.CPU(relay.pid) - used) / float64(s.events) * 1e6
		values[driverCPU] = (process.CPU(process.Self()) - usedHere) / float64(s.events) * 1e6
		next += s.events
		return nil
	}

	if err := l.connect(relay.url, s.publishers, s.window); err != nil {
		return nil, err
	}
	if err := phase(ingestRate, ingestCPU, ingestDriver); err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	if err := l.subscribe(relay.url, topic, s.subscribers, next); err != nil {
		return nil, err
	}
	if err := phase(fanOutRate, fanOutCPU, fanOutDriver); err != nil {
		return nil, fmt.Errorf("fan-out: %w", err)
	}
	values[deliveryRate] = values[fanOutRate] * float64(s.subscribers)
	if err := l.publish(next, next+s.sparse, sparsePeriod); err != nil {
		return nil, fmt.Errorf("latency: %w", err)
	}
	all := l.latencies()
	values[latencyP50] = milliseconds(all[len(all)/2])
	values[latencyP99] = milliseconds(all[len(all)*99/100])
	_, values[peakMemory] = process.Memory(relay.pid)
	return values, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// sign makes n events on a topic, by turns with the key of each publisher.
func sign(topic string, n, publishers int) ([]browser.Event, error) {
	keys := make([]string, publishers)
	for i := range keys {
		keys[i] = nostr.GeneratePrivateKey()
	}
	events, errs := make([]browser.Event, n), make([]error, n)
	at := time.Now()
	var signers sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		signers.Go(func() {
			for i := w; i < n; i += workers {
				events[i], errs[i] = browser.NewEvent(keys[i%publishers], topic, content(i), at)
			}
		})
	}
	signers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}
