package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asCaddy makes the test binary be what this package builds: it runs main.
const asCaddy = "TEST_RUN_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// machine has a folder, in which processes run, and a Caddyfile with a room.
type machine struct {
	*testing.T
	dir, address string
}

// newMachine has these further lines in its directive.
func newMachine(t *testing.T, directive ...string) *machine {
	m := &machine{T: t, dir: t.TempDir(), address: freeAddress(t)}
	m.write("Caddyfile", fmt.Appendf(nil, `{
	admin off
	genosrtc {
		udp 127.0.0.1:0
		storage %s/store
	}
}
http://%s {
	bind 127.0.0.1
	genosrtc {
		room demo
		room closed {
			password s3cret
		}
		%s
	}
}
`, m.dir, m.address, strings.Join(directive, "\n")))
	return m
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) write(name string, content []byte) {
	m.Helper()
	if err := os.WriteFile(m.path(name), content, 0o600); err != nil {
		m.Fatal(err)
	}
}

// process is `caddy …`. It is killed at the end of the test.
type process struct {
	*machine
	cmd      *exec.Cmd
	out, err output
	ended    chan struct{}
}

// output can be read while it grows.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (m *machine) start(stdin io.Reader, args ...string) *process {
	m.Helper()
	p := &process{machine: m, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = m.dir, stdin, &p.out, &p.err
	p.cmd.Env = append(os.Environ(), asCaddy+"=1",
		"HOME="+m.dir, "XDG_CACHE_HOME="+m.path("cache"), "XDG_DATA_HOME="+m.path("data"), "XDG_CONFIG_HOME="+m.path("config"),
		"GENOSRTC_SERVER="+m.url())
	if err := p.cmd.Start(); err != nil {
		m.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	m.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) interrupt() {
	p.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.Fatal(err)
	}
}

// exits waits for the end, with an exit code.
func (p *process) exits(code int) {
	p.Helper()
	p.until("its end", func() bool { return isClosed(p.ended) })
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.Fatalf("%q: exit code %d, not %d; it said:\n%s", p.cmd.Args[1:], got, code, p.err.String())
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *process) until(what string, met func() bool) {
	p.Helper()
	for start := time.Now(); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			p.Fatalf("%q: no %s; it said:\n%s\n%s", p.cmd.Args[1:], what, p.out.String(), p.err.String())
		}
	}
}

// says waits until the process said something on standard error.
func (p *process) says(what string) {
	p.Helper()
	p.until(what, func() bool { return strings.Contains(p.err.String(), what) })
}

// server runs the server, and waits until it answers.
func (m *machine) server() *process {
	p := m.start(nil, "run", "--config", "Caddyfile")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	p.until("answer", func() bool {
		if isClosed(p.ended) {
			p.Fatalf("the server has ended:\n%s", p.err.String())
		}
		q, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+m.address+"/genosrtc/client.js", nil)
		if err != nil {
			p.Fatal(err)
		}
		response, err := client.Do(q)
		if err != nil {
			return false
		}
		return errors.Join(response.Body.Close()) == nil && response.StatusCode == http.StatusOK
	})
	return p
}

// url is the server's address, "" where there is none.
func (m *machine) url() string {
	if m.address == "" {
		return ""
	}
	return "http://" + m.address + "/genosrtc"
}
