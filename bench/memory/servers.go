package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// contestant is a server that keeps a room's graph, in a folder.
type contestant struct {
	name  string
	start func(ctx context.Context, folder string) (*server, error)
}

// server is one that runs, in a process of its own. What it says is in its folder,
// in the file log.
type server struct {
	*process.Process
	relay string // the URL of its relay
	http  string // the URL of its room; empty if it has none
	disk  disk
}

func (s *server) stop() {
	s.disk.close()
	s.Stop()
}

// launch starts a program in a folder, and waits until it accepts connections at its relay.
func launch(ctx context.Context, folder, relay string, env []string, command ...string) (*process.Process, error) {
	args := append([]string{"-c", `exec "$@" >log 2>&1`, "sh"}, command...)
	p, err := process.Start(ctx, folder, append(env, "HOME="+folder), "sh", args...)
	if err != nil {
		return nil, err
	}
	if err := wsload.WaitUntilReady(ctx, relay, p.Ended()); err != nil {
		p.Stop()
		said, _ := os.ReadFile(filepath.Join(folder, "log"))
		return nil, fmt.Errorf("starting %s: %w; it says %.2000s", command[0], err, said)
	}
	return p, nil
}

// ours is a Caddy with this module.
func ours(caddy, ip string) contestant {
	return contestant{"this server", func(ctx context.Context, folder string) (*server, error) {
		port, err := process.FreePort()
		if err != nil {
			return nil, err
		}
		config := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	genosrtc {
		udp %s:%s
		storage %s
	}
}
http://127.0.0.1:%[2]s, http://localhost:%[2]s {
	bind 127.0.0.1
	genosrtc {
		room %[4]s {
			memory
			anonymous write
		}
	}
}
`, ip, port, filepath.Join(folder, "genosrtc"), database)
		if err := os.WriteFile(filepath.Join(folder, "Caddyfile"), []byte(config), 0o600); err != nil {
			return nil, err
		}
		base := "127.0.0.1:" + port + "/genosrtc"
		s := &server{relay: "ws://" + base + "/relay", http: "http://" + base + "/rooms/" + database}
		if s.Process, err = launch(ctx, folder, s.relay, nil, caddy, "run", "--config", "Caddyfile", "--adapter", "caddyfile"); err != nil {
			return nil, err
		}
		if s.disk, err = watchEvents(ctx, s.http+"/graph/events"); err != nil {
			s.Stop()
			return nil, err
		}
		return s, nil
	}}
}

// genosSRV is GenosDB's own server, from the folder of its distribution.
func genosSRV(dist string) (contestant, error) {
	bun, err := exec.LookPath("bun")
	if err != nil {
		return contestant{}, fmt.Errorf("GENOSDB_DIST is set, but its server needs bun (npm install bun, and add node_modules/.bin to PATH): %w", err)
	}
	paths := []string{bun, filepath.Join(dist, "genossrv.min.js")}
	for i := range paths {
		if paths[i], err = filepath.Abs(paths[i]); err != nil {
			return contestant{}, fmt.Errorf("finding GenosDB's server: %w", err)
		}
	}
	return contestant{"GenosSRV", func(ctx context.Context, folder string) (*server, error) {
		port, err := process.FreePort()
		if err != nil {
			return nil, err
		}
		s := &server{relay: "ws://127.0.0.1:" + port + "/"}
		env := []string{"GDB_RELAY=1", "PORT=" + port, "GDB_DB_PATH=" + filepath.Join(folder, "data.sqlite")}
		if s.Process, err = launch(ctx, folder, s.relay, env, append(paths, database)...); err != nil {
			return nil, err
		}
		s.disk = watchFiles(s.PID(), filepath.Join(folder, "data.sqlite*"))
		return s, nil
	}}, nil
}
