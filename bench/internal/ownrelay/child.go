package ownrelay

import (
	"context"
	"fmt"
	"os"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// Child is a relay in a process of its own: this program, started again with the
// arguments "serve" and an address, upon which it must call Serve.
type Child struct {
	*process.Process
	Address string // host:port
	URL     string // of the relay
}

// StartChild starts one with further environment variables, and waits until it
// accepts connections.
func StartChild(ctx context.Context, env []string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	c := &Child{Address: "127.0.0.1:" + port}
	c.URL = "ws://" + c.Address + Path
	if c.Process, err = process.Start(ctx, "", env, self, "serve", c.Address); err != nil {
		return nil, err
	}
	if err := wsload.WaitUntilReady(ctx, c.URL, c.Ended()); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}
