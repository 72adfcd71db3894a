package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// contestant is a relay that is measured.
type contestant struct {
	name    string
	url     string // of its WebSocket
	command []string
	env     []string
	scratch bool // it runs in an empty directory, which is also its HOME
}

// portHere stands for a port that nobody uses.
const portHere = "{PORT}"

// ours is this project's relay, or the bare one, in a process of this program.
func ours(name, role string) (contestant, error) {
	self, err := os.Executable()
	if err != nil {
		return contestant{}, fmt.Errorf("finding this program: %w", err)
	}
	return contestant{
		name:    name,
		url:     "ws://127.0.0.1:" + portHere + ownrelay.Path,
		command: []string{self, "serve", role, "127.0.0.1:" + portHere},
	}, nil
}

// given is a relay that the caller names, by a command for the shell, or
// nothing if it runs already.
func given(command, url string) contestant {
	c := contestant{name: "other", url: url}
	if command != "" {
		c.command = []string{"sh", "-c", "exec " + command}
	}
	return c
}

// genosDB is GenosDB's own relay, from the folder of its distribution.
func genosDB(dist string) (contestant, error) {
	bun, err := exec.LookPath("bun")
	if err != nil {
		return contestant{}, fmt.Errorf("GENOSDB_DIST is set, but its relay needs bun (npm install bun, and add node_modules/.bin to PATH): %w", err)
	}
	paths := []string{bun, filepath.Join(dist, "genossrv.min.js")}
	for i := range paths {
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return contestant{}, fmt.Errorf("finding GenosDB's relay: %w", err)
		}
	}
	return contestant{
		name:    "GenosSRV",
		url:     "ws://127.0.0.1:" + portHere + "/",
		command: append(paths, ownrelay.Database),
		env:     []string{"GDB_RELAY=1"},
		scratch: true,
	}, nil
}

// opponent is what our relay is compared with.
func opponent(against, url, dist string) (contestant, error) {
	switch {
	case against == "" && url == "" && dist != "":
		return genosDB(dist)
	case against == "" && url == "":
		return ours("bare", "bare")
	case url == "":
		return contestant{}, errors.New("-against needs -url")
	}
	return given(against, url), nil
}

// running is a contestant that can be connected to.
type running struct {
	url  string
	pid  int // 0: not known
	stop func()
}

// start starts the relay, if it has a command, and waits until it accepts a
// connection, and then for as long as it may need to settle.
func (c contestant) start(ctx context.Context, settle time.Duration) (*running, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	run := &running{url: strings.ReplaceAll(c.url, portHere, port), stop: func() {}}
	ended := make(<-chan struct{})
	if c.command != nil {
		dir, clean := "", func() {}
		env := append([]string{"PORT=" + port}, c.env...)
		if c.scratch {
			if dir, err = os.MkdirTemp("", "bench-relay-"); err != nil {
				return nil, fmt.Errorf("making a directory for %s: %w", c.name, err)
			}
			clean = func() { os.RemoveAll(dir) }
			env = append(env, "HOME="+dir)
		}
		var args []string
		for _, arg := range c.command {
			args = append(args, strings.ReplaceAll(arg, portHere, port))
		}
		p, err := process.Start(ctx, dir, env, args[0], args[1:]...)
		if err != nil {
			clean()
			return nil, err
		}
		ended, run.pid, run.stop = p.Ended(), p.PID(), func() { p.Stop(); clean() }
	}
	if err := wsload.WaitUntilReady(ctx, run.url, ended); err != nil {
		run.stop()
		return nil, err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	return run, nil
}
