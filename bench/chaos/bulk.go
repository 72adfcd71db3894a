package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The goals of bulk.
const (
	twiceAtMost  = 0.02 // of the file
	memoryAtMost = 150  // MiB
)

// bulk passes a large file between two client processes.
func bulk(ctx context.Context, o options) (err error) {
	if o.size == 0 {
		o.size = 1024
	}
	size := int64(o.size) << 20
	s, err := newServer(o.caddy, "room demo")
	if err != nil {
		return err
	}
	defer func() { s.close(&err) }()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	receiver := &clientProcess{name: "receive", fail: cancel, args: []string{s.url(), filepath.Join(s.folder, "receiver"), strconv.FormatInt(size, 10)}}
	if err := receiver.start(); err != nil {
		return err
	}
	defer receiver.kill()
	if err := until(ctx, time.Minute, "the receiver", func() bool { return receiver.id() != "" }); err != nil {
		return err
	}
	sender := &clientProcess{name: "send", fail: cancel, args: []string{s.url(), filepath.Join(s.folder, "sender"), strconv.FormatInt(size, 10), receiver.id()}}
	if err := sender.start(); err != nil {
		return err
	}
	defer sender.kill()

	// What happens when so much is acknowledged.
	type event struct {
		at   int64
		name string
		do   func() error
	}
	events := []event{
		{0, "the server is killed", func() error {
			s.kill()
			_, err := s.start(ctx)
			return err
		}},
		{0, "the sender is killed", sender.restart},
		{0, "the receiver is killed", receiver.restart},
	}
	for range o.cuts {
		victim := sender
		if o.rng.IntN(2) == 0 {
			victim = receiver
		}
		events = append(events, event{0, "a cut of the connection on which to " + victim.name, victim.cut})
	}
	for i := range events {
		events[i].at = int64(float64(size) * (0.02 + 0.95*o.rng.Float64()))
	}
	slices.SortFunc(events, func(a, b event) int { return int(a.at - b.at) })
	began := time.Now()
	for _, e := range events {
		if err := until(ctx, 2*time.Minute, fmt.Sprintf("%d bytes, at %d", e.at, sender.at()), func() bool { return sender.at() >= e.at }); err != nil {
			return err
		}
		fmt.Printf("%5.1f s, at %4d MiB: %s\n", time.Since(began).Seconds(), sender.at()>>20, e.name)
		if err := e.do(); err != nil {
			return err
		}
	}
	if err := until(ctx, 2*time.Minute, "the end", func() bool { return sender.ended() && receiver.ended() }); err != nil {
		return err
	}
	took := time.Since(began)

	f, err := os.Open(filepath.Join(s.folder, "receiver", "received"))
	if err != nil {
		return err
	}
	defer f.Close()
	got, want := sha256.New(), sha256.New()
	n, err := io.Copy(got, f)
	if err != nil {
		return err
	}
	if _, err := io.Copy(want, io.NewSectionReader(newPattern(0, size), 0, size)); err != nil {
		return err
	}
	if n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
		return fmt.Errorf("the file has %d bytes of %d, and the hash %x instead of %x", n, size, got.Sum(nil), want.Sum(nil))
	}
	fmt.Printf("%d bytes in %v (%.1f MiB/s); equal SHA-256 %x\n", n, took.Round(100*time.Millisecond), float64(size)/took.Seconds()/(1<<20), got.Sum(nil))
	fmt.Printf("%d cuts, the server and both clients killed once each\n", o.cuts)
	more := func(p *clientProcess) float64 { return float64(p.wire()-size) / float64(size) }
	fmt.Printf("on the wire, with all overhead, beyond the file's size: sender %.2f %%, receiver %.2f %%\n", 100*more(sender), 100*more(receiver))
	fmt.Printf("peak of the server's memory: %.0f MiB\n", s.peakMemory())
	if max(more(sender), more(receiver)) > twiceAtMost || s.peakMemory() > memoryAtMost {
		return fmt.Errorf("more than %.0f %% were sent twice, or more than %d MiB were used", 100*twiceAtMost, memoryAtMost)
	}
	return nil
}

// clientProcess is a child (child.go), which may be killed and started again.
type clientProcess struct {
	name string
	args []string
	fail func(error)

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	gone    chan struct{}
	killing bool
	peer    string
	acked   int64
	bytes   int64 // on the wire, of this process
	before  int64 // of those before
	done    bool
}

func (p *clientProcess) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.args[1], 0o700); err != nil {
		return err
	}
	c := exec.Command(self, append([]string{childArg, p.name}, p.args...)...)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.in, p.gone, p.killing = c, in, gone, false
	p.mu.Unlock()
	go func() {
		defer close(gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.hear(strings.Fields(lines.Text()))
		}
		err := c.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.before += p.bytes
		p.bytes = 0
		if err != nil && !p.killing {
			p.fail(fmt.Errorf("the process that should %s: %w", p.name, err))
		}
	}()
	return nil
}

func (p *clientProcess) hear(words []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch words[0] {
	case "peer":
		if p.peer != "" && p.peer != words[1] {
			p.fail(fmt.Errorf("the process that should %s was %s and is %s", p.name, p.peer, words[1]))
		}
		p.peer = words[1]
	case "at":
		p.acked, _ = strconv.ParseInt(words[1], 10, 64)
		p.bytes, _ = strconv.ParseInt(words[2], 10, 64)
	case "done":
		p.bytes, _ = strconv.ParseInt(words[1], 10, 64)
		p.done = true
	}
}

func (p *clientProcess) id() string  { p.mu.Lock(); defer p.mu.Unlock(); return p.peer }
func (p *clientProcess) at() int64   { p.mu.Lock(); defer p.mu.Unlock(); return p.acked }
func (p *clientProcess) wire() int64 { p.mu.Lock(); defer p.mu.Unlock(); return p.before + p.bytes }
func (p *clientProcess) ended() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.done }

func (p *clientProcess) cut() error {
	_, err := io.WriteString(p.in, "cut\n")
	return err
}

func (p *clientProcess) kill() {
	p.mu.Lock()
	p.killing = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill() // an error is its having ended
	<-p.gone
}

func (p *clientProcess) restart() error {
	p.kill()
	return p.start()
}
