package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

// outcome is how a relay carried a room.
type outcome struct {
	announces, expected, delivered int64

	rate       float64 // announces a second
	p50, p99   time.Duration
	cpu        float64 // of the relay, in cores
	driverCPU  float64 // of this process, in cores
	memory     float64 // of the relay with everybody there, in MiB
	peakMemory float64
	stats      relay.Stats
	trouble    error // the first thing that went wrong; nil if nothing did
}

// lost explains what is missing; nil if nothing is.
func (o outcome) lost() error {
	if o.delivered == o.expected && o.trouble == nil {
		return nil
	}
	return fmt.Errorf("%d of %d deliveries missing; the relay dropped %d announces, cut %d slow connections and refused %d events over its rates; first trouble: %w",
		o.expected-o.delivered, o.expected, o.stats.DroppedAnnounces, o.stats.Closed.Slow, o.stats.Events.RateLimited, o.trouble)
}

// measure starts a relay, on so many cores (0: all), and plays a room on it.
func measure(ctx context.Context, peers, perAddress, cores int, length time.Duration) (o outcome, err error) {
	s, err := newScript(peers, length)
	if err != nil {
		return o, err
	}
	var env []string
	if cores > 0 {
		env = append(env, fmt.Sprint("GOMAXPROCS=", cores))
	}
	child, err := ownrelay.StartChild(ctx, env)
	if err != nil {
		return o, err
	}
	defer child.Stop()
	r, err := join(ctx, child.URL, s, perAddress)
	if err != nil {
		return o, err
	}
	defer r.leave()
	used, usedHere := process.CPU(child.PID()), process.CPU(process.Self())
	r.start = time.Now()
	if err := r.play(ctx); err != nil {
		return o, err
	}
	if err := r.drain(ctx); err != nil {
		return o, err
	}
	took := time.Since(r.start).Seconds()
	o = outcome{
		announces: int64(len(r.announces)),
		expected:  r.expected(),
		delivered: r.delivered.Load(),
		rate:      float64(len(r.announces)) / length.Seconds(),
		p50:       r.latencies.quantile(0.5),
		p99:       r.latencies.quantile(0.99),
		cpu:       (process.CPU(child.PID()) - used) / took,
		driverCPU: (process.CPU(process.Self()) - usedHere) / took,
		trouble:   r.firstTrouble(),
	}
	o.memory, o.peakMemory = process.Memory(child.PID())
	o.stats, err = counters(ctx, child.Address)
	return o, err
}

// counters asks the relay for its own.
func counters(ctx context.Context, address string) (stats relay.Stats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+ownrelay.StatsPath, nil)
	if err != nil {
		return stats, fmt.Errorf("asking for counters: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return stats, fmt.Errorf("asking for counters: %w", err)
	}
	err = json.NewDecoder(res.Body).Decode(&stats)
	return stats, errors.Join(err, res.Body.Close())
}

// The rows of the table.
var metrics = []rounds.Metric{
	{Name: "announces/s", Decimals: 1},
	{Name: "deliveries, expected"},
	{Name: "deliveries, made"},
	{Name: "deliveries/s"},
	{Name: "latency p50, ms", Decimals: 2},
	{Name: "latency p99, ms", Decimals: 2},
	{Name: "relay's CPU, cores", Decimals: 2},
	{Name: "relay's CPU us/delivery", Decimals: 2},
	{Name: "relay's memory, MiB"},
	{Name: "relay's memory at the peak, MiB"},
	{Name: "driver's CPU, cores", Decimals: 2},
}

func (o outcome) values() rounds.Values {
	perSecond := o.rate * float64(o.expected) / float64(o.announces)
	figures := []float64{
		o.rate,
		float64(o.expected), float64(o.delivered), perSecond,
		milliseconds(o.p50), milliseconds(o.p99),
		o.cpu, o.cpu / perSecond * 1e6,
		o.memory, o.peakMemory,
		o.driverCPU,
	}
	values := rounds.Values{}
	for i, m := range metrics {
		values[m.Name] = figures[i]
	}
	return values
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
