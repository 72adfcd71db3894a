package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
)

// server is a Caddy process, which may be killed and started again.
type server struct {
	caddy, folder string
	port, admin   int
	rooms         string // of the Caddyfile's directive
	log           *os.File
	changes       atomic.Int64 // makes configurations differ

	mu    sync.Mutex
	child *exec.Cmd
	ended chan struct{}
	peak  float64 // MiB of resident memory, over all processes
	all   sync.WaitGroup
}

// newServer prepares a server whose directive has these lines.
func newServer(caddy, rooms string) (*server, error) {
	folder, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, err
	}
	s := &server{caddy: caddy, folder: folder, rooms: rooms}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if s.admin, err = freePort(); err != nil {
		return nil, err
	}
	s.log, err = os.Create(filepath.Join(folder, "log"))
	return s, err
}

// freePort finds a port that the system does not give to connections: it could
// do so while the server is down.
func freePort() (int, error) {
	for range 100 {
		port := 10_000 + time.Now().Nanosecond()/1000%20_000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free")
}

func (s *server) url() string { return fmt.Sprintf("http://127.0.0.1:%d/genosrtc", s.port) }

func (s *server) caddyfile() string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	persist_config off
	auto_https off
	grace_period 1s
	storage file_system %s
	genosrtc {
		udp 127.0.0.1:%d
		storage %s
	}
}
http://127.0.0.1:%d, http://localhost:%d {
	bind 127.0.0.1
	header X-Change %d
	genosrtc {
		%s
	}
}
`, s.admin, filepath.Join(s.folder, "caddy"), s.port, filepath.Join(s.folder, "genosrtc"), s.port, s.port, s.changes.Load(), s.rooms)
}

// start starts the process and waits until the directive answers. It returns
// how long that took.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	config := filepath.Join(s.folder, "Caddyfile")
	if err := os.WriteFile(config, []byte(s.caddyfile()), 0o600); err != nil {
		return 0, err
	}
	began := time.Now()
	c := exec.Command(s.caddy, "run", "--config", config, "--adapter", "caddyfile")
	c.Stdout, c.Stderr = s.log, s.log
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", s.caddy, err)
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.child, s.ended = c, ended
	s.mu.Unlock()
	s.all.Go(func() {
		_ = c.Wait() // it is killed
		close(ended)
	})
	s.all.Go(func() { s.watch(c.Process.Pid, ended) })
	for {
		response, err := http.Get(s.url() + "/relay")
		if err == nil {
			response.Body.Close()
			if response.StatusCode < 500 {
				return time.Since(began), nil
			}
		}
		select {
		case <-ended:
			return 0, s.failed("the server ended")
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(began) > 30*time.Second {
			return 0, s.failed("the server did not start within 30 s")
		}
	}
}

// watch notes the process's resident memory.
func (s *server) watch(pid int, ended chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(200 * time.Millisecond):
		}
		if now, _ := process.Memory(pid); now > 0 {
			s.mu.Lock()
			s.peak = max(s.peak, now)
			s.mu.Unlock()
		}
	}
}

func (s *server) peakMemory() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peak
}

// kill is kill -9.
func (s *server) kill() {
	s.mu.Lock()
	c, ended := s.child, s.ended
	s.mu.Unlock()
	if c != nil {
		_ = c.Process.Kill() // an error is its having ended
		<-ended
	}
}

// reload loads a configuration that differs in a header.
func (s *server) reload(ctx context.Context) error {
	s.changes.Add(1)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/load", s.admin), strings.NewReader(s.caddyfile()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var b bytes.Buffer
		_, _ = b.ReadFrom(response.Body)
		return fmt.Errorf("reload: status %d: %s", response.StatusCode, b.String())
	}
	return nil
}

func (s *server) failed(what string) error {
	return fmt.Errorf("%s; its log is %s", what, s.log.Name())
}

// faults are what no log may have.
var faults = regexp.MustCompile(`(?m)WARNING: DATA RACE|^panic:|^fatal error:|"msg":"panic`)

// close ends the server, and looks for faults in its log. It keeps the files
// when err is not nil, or becomes so.
func (s *server) close(err *error) {
	s.kill()
	s.all.Wait()
	s.log.Close()
	if log, e := os.ReadFile(s.log.Name()); *err == nil && (e != nil || faults.Match(log)) {
		*err = s.failed("the server panicked, or the race detector spoke")
	}
	if *err == nil {
		os.RemoveAll(s.folder)
	} else {
		fmt.Println("the server's files and log:", s.folder)
	}
}
