package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// The rows of the table.
var metrics = []rounds.Metric{
	{Name: "burst, deliveries/s"},
	{Name: "burst, p50 ms", Decimals: 2},
	{Name: "burst, p99 ms", Decimals: 2},
	{Name: "burst, CPU us/delivery", Decimals: 2},
	{Name: "sparse, p50 ms", Decimals: 2},
	{Name: "sparse, p99 ms", Decimals: 2},
	{Name: "sparse, CPU us/delivery", Decimals: 2},
	{Name: "memory, KiB/receiver", Decimals: 1},
	{Name: "driver's CPU us/delivery", Decimals: 2},
}

// measure starts a server and puts the load on it.
func measure(ctx context.Context, c contestant, l load) (rounds.Values, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	child, err := process.Start(ctx, "", nil, c.command[0], append(c.command[1:len(c.command):len(c.command)], port)...)
	if err != nil {
		return nil, err
	}
	defer child.Stop()
	address := "127.0.0.1:" + port
	if err := wsload.WaitUntilReady(ctx, "ws://"+address+c.sender, child.Ended()); err != nil {
		return nil, err
	}
	before, _ := process.Memory(child.PID())
	a, err := gather(ctx, c, "ws://"+address, l)
	if err != nil {
		return nil, err
	}
	defer a.leave()
	after, _ := process.Memory(child.PID())

	if err := a.send(ctx, 20, 1, 0); err != nil { // warms up
		return nil, err
	}
	used := func() (server, driver float64) { return process.CPU(child.PID()), process.CPU(process.Self()) }

	profiled := profile(l.profile, "burst", address)
	server, driver := used()
	began := time.Now()
	if err := a.send(ctx, l.messages, l.window, 0); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	server2, driver2 := used()
	made := float64(l.messages * l.receivers)
	v := rounds.Values{
		"burst, deliveries/s":      made / took,
		"burst, p50 ms":            milliseconds(a.latencies.Load().Quantile(0.5)),
		"burst, p99 ms":            milliseconds(a.latencies.Load().Quantile(0.99)),
		"burst, CPU us/delivery":   (server2 - server) / made * 1e6,
		"driver's CPU us/delivery": (driver2 - driver) / made * 1e6,
		"memory, KiB/receiver":     (after - before) * 1024 / float64(l.receivers),
	}
	if err := profiled(); err != nil {
		return nil, err
	}

	profiled = profile(l.profile, "sparse", address)
	n := int(l.sparse.Seconds() * float64(l.rate))
	server, _ = used()
	if err := a.send(ctx, n, n, l.rate); err != nil {
		return nil, err
	}
	server2, _ = used()
	v["sparse, p50 ms"] = milliseconds(a.latencies.Load().Quantile(0.5))
	v["sparse, p99 ms"] = milliseconds(a.latencies.Load().Quantile(0.99))
	v["sparse, CPU us/delivery"] = (server2 - server) / float64(n*l.receivers) * 1e6
	return v, profiled()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// profile begins a CPU profile of a server of ours, into a file, and returns what
// waits for its end.
func profile(prefix, phase, address string) func() error {
	if prefix == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			res, err := http.Get("http://" + address + "/debug/pprof/profile?seconds=3")
			if err != nil {
				return fmt.Errorf("taking a profile: %w", err)
			}
			defer res.Body.Close()
			f, err := os.Create(prefix + phase + ".pprof")
			if err != nil {
				return err
			}
			_, err = io.Copy(f, res.Body)
			return errors.Join(err, f.Close())
		}()
	}()
	return func() error { return <-done }
}
