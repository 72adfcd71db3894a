package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// The phases.
const (
	attacked = "attacked"
	quiet    = "quiet"
)

// The rows of the table that are no counters. The attackers' answers are in rows
// of their own, which begin with toldPrefix.
const (
	deliveries   = "deliveries, expected"
	lost         = "deliveries, lost"
	troubles     = "honest peers' other trouble"
	latencyP50   = "latency p50, ms"
	latencyP99   = "latency p99, ms"
	latencyMax   = "latency max, ms"
	relayCPU     = "relay's CPU, cores"
	attackersCPU = "attackers' CPU, cores"
	driverCPU    = "honest peers' CPU, cores"
	relayMemory  = "relay's memory at the peak, MiB"

	relayPrefix = "relay: "
	toldPrefix  = "told: "
)

var figures = []rounds.Metric{
	{Name: deliveries}, {Name: lost}, {Name: troubles},
	{Name: latencyP50, Decimals: 2}, {Name: latencyP99, Decimals: 2}, {Name: latencyMax, Decimals: 2},
	{Name: relayCPU, Decimals: 2}, {Name: attackersCPU, Decimals: 2}, {Name: driverCPU, Decimals: 2},
	{Name: relayMemory},
}

// size is that of the load.
type size struct {
	peers, addresses int
	length           time.Duration
}

// headStart is how long attackers attack before anybody is measured.
const headStart = 3 * time.Second

// measure starts a relay and plays a phase on it.
func measure(ctx context.Context, phase string, s size) (rounds.Values, error) {
	script, err := newScript(s.peers, s.length)
	if err != nil {
		return nil, err
	}
	relay, err := ownrelay.StartChild(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer relay.Stop()
	h, err := join(ctx, relay.URL, s.peers, script)
	if err != nil {
		return nil, err
	}
	defer h.leave()

	h.start = time.Now().Add(headStart)
	var enemy *enemies
	if phase == attacked {
		if enemy, err = startEnemies(ctx, plan{relay.URL, s.addresses, forge(h)}); err != nil {
			return nil, err
		}
		defer enemy.stop()
	}
	if err := sleepUntil(ctx, h.start); err != nil {
		return nil, err
	}
	pids := map[string]int{relayCPU: relay.PID(), driverCPU: process.Self()}
	if enemy != nil {
		pids[attackersCPU] = enemy.process.PID()
	}
	before := map[string]float64{}
	for name, pid := range pids {
		before[name] = process.CPU(pid)
	}
	if err := h.play(ctx); err != nil {
		return nil, err
	}
	values, took := rounds.Values{}, time.Since(h.start).Seconds()
	for name, pid := range pids {
		values[name] = (process.CPU(pid) - before[name]) / took
	}
	_, values[relayMemory] = process.Memory(relay.PID())
	if enemy != nil {
		enemy.stop()
		if err := enemy.tell(values); err != nil {
			return nil, err
		}
	}
	h.leave()
	h.figures(values)
	return values, counters(ctx, relay.Address, values)
}

// figures adds what the honest peers noticed. They have left.
func (h *honest) figures(values rounds.Values) {
	values[deliveries] = float64(h.expected())
	values[lost] = float64(h.expected() - h.delivered.Load())
	values[troubles] = float64(len(h.trouble))
	for _, err := range h.trouble[:min(len(h.trouble), 3)] {
		fmt.Fprintln(os.Stderr, err)
	}
	if all := h.latencies(); len(all) > 0 {
		values[latencyP50] = milliseconds(all[(len(all)-1)/2])
		values[latencyP99] = milliseconds(all[(len(all)-1)*99/100])
		values[latencyMax] = milliseconds(all[len(all)-1])
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// forge copies what will be said, with signatures that are wrong.
func forge(h *honest) []forgedCopy {
	copies := make([]forgedCopy, len(h.script))
	for i, a := range h.script {
		copies[i] = forgedCopy{h.start.Add(a.at), withOtherSignature(a.event.Frame)}
	}
	return copies
}

// enemies are the attackers' process, seen from here.
type enemies struct {
	process *process.Process
	file    string // see plan
}

// startEnemies runs the attackers at the lowest priority.
func startEnemies(ctx context.Context, p plan) (*enemies, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding the attackers' plan: %w", err)
	}
	folder, err := os.MkdirTemp("", "abuse")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the attackers' plan: %w", err)
	}
	e := &enemies{file: filepath.Join(folder, "plan.json")}
	if err = os.WriteFile(e.file, text, 0o600); err == nil {
		e.process, err = process.Start(ctx, "", nil, "nice", "-n", "19", self, "attack", e.file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the attackers: %w", err), os.RemoveAll(folder))
	}
	return e, nil
}

// stop ends the attack.
func (e *enemies) stop() {
	e.process.Stop()
}

// tell adds what the attackers were told, and removes their file. They have
// stopped.
func (e *enemies) tell(values rounds.Values) error {
	text, err := os.ReadFile(e.file)
	if err == nil {
		var counts map[string]float64
		err = json.Unmarshal(text, &counts)
		for name, n := range counts {
			values[toldPrefix+name] = n
		}
	}
	if err = errors.Join(err, os.RemoveAll(filepath.Dir(e.file))); err != nil {
		return fmt.Errorf("reading what the attackers were told: %w", err)
	}
	return nil
}

// counters adds those of the relay, by their names in relay.Stats' JSON.
func counters(ctx context.Context, address string, values rounds.Values) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+ownrelay.StatsPath, nil)
	if err != nil {
		return fmt.Errorf("asking for counters: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking for counters: %w", err)
	}
	var stats map[string]any
	err = json.NewDecoder(res.Body).Decode(&stats)
	flatten(values, relayPrefix, stats)
	return errors.Join(err, res.Body.Close())
}

// flatten adds numbers, named by their path.
func flatten(values rounds.Values, path string, tree map[string]any) {
	for name, x := range tree {
		switch x := x.(type) {
		case float64:
			values[path+name] = x
		case map[string]any:
			flatten(values, path+name+".", x)
		}
	}
}

// rows are the figures, the relay's counters, and what the attackers were told.
func rows(all []rounds.Values) []rounds.Metric {
	var names []string
	for _, values := range all {
		for name := range values {
			if !slices.ContainsFunc(figures, func(m rounds.Metric) bool { return m.Name == name }) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	metrics := slices.Clone(figures)
	for _, name := range slices.Compact(names) {
		metrics = append(metrics, rounds.Metric{Name: name})
	}
	return metrics
}
