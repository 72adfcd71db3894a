package main

import (
	"context"
	"encoding/json"
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

// The rows of the table. Memory and goroutines are those of the server without
// what it has before the first session.
var metrics = []rounds.Metric{
	{Name: "resident, KiB/session", Decimals: 1},
	{Name: "live heap and stacks, KiB/session", Decimals: 1},
	{Name: "of it stacks, KiB/session", Decimals: 1},
	{Name: "goroutines/session", Decimals: 2},
	{Name: "resident at the peak, MiB"},
	{Name: "CPU while idle, % of a core", Decimals: 2},
	{Name: "idle, s"},
	{Name: "dropped"},
	{Name: "all joined after, s", Decimals: 1},
	{Name: "all knew all after, s", Decimals: 1},
	{Name: "CPU for that, s", Decimals: 1},
	{Name: "messages for that, thousands"},
}

// measure starts a server and has sessions be idle on it.
func measure(ctx context.Context, sessions, rooms int, length time.Duration, heap string) (rounds.Values, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	address := "127.0.0.1:" + port
	child, err := process.Start(ctx, "", nil, self, "serve", fmt.Sprint(rooms), address)
	if err != nil {
		return nil, err
	}
	defer child.Stop()
	if err := wsload.WaitUntilReady(ctx, url(address, 0), child.Ended()); err != nil {
		return nil, err
	}
	before, err := used(ctx, address)
	if err != nil {
		return nil, err
	}
	resident, _ := process.Memory(child.PID())
	cpu := process.CPU(child.PID())

	began := time.Now()
	c, err := join(ctx, address, sessions, rooms)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	joined := time.Since(began)
	quiet, err := c.quiet(ctx)
	if err != nil {
		return nil, err
	}
	v := rounds.Values{
		"all joined after, s":          joined.Seconds(),
		"all knew all after, s":        quiet.Sub(began).Seconds(),
		"CPU for that, s":              process.CPU(child.PID()) - cpu,
		"messages for that, thousands": float64(c.messages.Load()) / 1000,
	}
	fmt.Fprintf(os.Stderr, "  all joined after %.1f s, quiet after %.1f s\n", joined.Seconds(), quiet.Sub(began).Seconds())
	// The first pings come and go, and what was needed for joining is given back.
	if err := sleep(ctx, min(length, 30*time.Second)); err != nil {
		return nil, err
	}
	after, err := used(ctx, address)
	if err != nil {
		return nil, err
	}
	if heap != "" {
		if err := save(ctx, "http://"+address+"/debug/pprof/heap?gc=1", fmt.Sprintf("%s%d.pprof", heap, rooms)); err != nil {
			return nil, err
		}
	}
	cpu, began = process.CPU(child.PID()), time.Now()
	now, peak := process.Memory(child.PID())
	kib := func(bytes uint64) float64 { return float64(bytes) / 1024 / float64(sessions) }
	v["resident, KiB/session"] = (now - resident) * 1024 / float64(sessions)
	v["resident at the peak, MiB"] = peak
	v["live heap and stacks, KiB/session"] = kib(after.Heap + after.Stacks - before.Heap - before.Stacks)
	v["of it stacks, KiB/session"] = kib(after.Stacks - before.Stacks)
	v["goroutines/session"] = float64(after.Goroutines-before.Goroutines) / float64(sessions)
	fmt.Fprintf(os.Stderr, "  %.1f KiB a session resident, %.1f live\n", v["resident, KiB/session"], v["live heap and stacks, KiB/session"])
	if err := sleep(ctx, length); err != nil {
		return nil, err
	}
	v["CPU while idle, % of a core"] = (process.CPU(child.PID()) - cpu) / time.Since(began).Seconds() * 100
	v["idle, s"] = time.Since(began).Seconds()
	v["dropped"] = float64(c.dropped.Load())
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func used(ctx context.Context, address string) (u inUse, err error) {
	body, err := get(ctx, "http://"+address+"/usage")
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(body, &u)
}

func save(ctx context.Context, url, name string) error {
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	body, err := io.ReadAll(res.Body)
	return body, errors.Join(err, res.Body.Close())
}
