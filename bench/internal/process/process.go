// Package process runs what is measured in a process of its own, and reads what
// it uses. That is possible on Linux alone; elsewhere the figures are NaN.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a child.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // valid then
}

// stopWithin is how long a child may take to end when it is asked to.
const stopWithin = 5 * time.Second

// Start runs a program with variables added to the environment, in a directory
// (the current one if empty). What it writes goes to standard error. The end of
// ctx stops it.
func Start(ctx context.Context, dir string, env []string, name string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Stop asks the process to end (SIGTERM), kills it if it does not, and waits.
func (p *Process) Stop() {
	// An error is its having ended.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// FreePort returns a TCP port of the loopback address that nobody uses.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Self returns the number of this process.
func Self() int { return os.Getpid() }

// CPU returns the processor time that a process has used so far, in seconds, in
// steps of 0.01. Its own children are not counted.
func CPU(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return math.NaN()
	}
	t, err := parseCPU(stat)
	if err != nil {
		return math.NaN()
	}
	return t
}

// ticks is how many clock ticks a second has: on Linux always 100 (proc(5)).
const ticks = 100

func parseCPU(stat []byte) (float64, error) {
	// The second field is the name in brackets, which may contain anything.
	i := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) < 13 {
		return 0, errors.New("not a stat file of proc(5)")
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading utime: %w", err)
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading stime: %w", err)
	}
	return float64(user+system) / ticks, nil
}

// Memory returns the resident memory of a process, in MiB, now and at its peak.
func Memory(pid int) (now, peak float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return math.NaN(), math.NaN()
	}
	return memoryField(status, "VmRSS:"), memoryField(status, "VmHWM:")
}

func memoryField(status []byte, name string) float64 {
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == name {
			if kib, err := strconv.ParseFloat(string(fields[1]), 64); err == nil {
				return kib / 1024
			}
		}
	}
	return math.NaN()
}

// Written returns the bytes that a process has written to files and pipes so far
// (wchar of proc(5)); what it sends on UDP sockets is not in it, what it writes to
// TCP sockets may be.
func Written(pid int) float64 { return ioField(pid, "wchar") }

// Dirtied returns the bytes that the system counts as to be written to a disk on
// behalf of a process (write_bytes of proc(5)). It counts whole folios of its cache,
// which may be many times as large as what was written to them.
func Dirtied(pid int) float64 { return ioField(pid, "write_bytes") }

func ioField(pid int, name string) float64 {
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return math.NaN()
	}
	for line := range strings.Lines(string(io)) {
		if n, ok := strings.CutPrefix(line, name+": "); ok {
			if bytes, err := strconv.ParseUint(strings.TrimSpace(n), 10, 64); err == nil {
				return float64(bytes)
			}
		}
	}
	return math.NaN()
}
