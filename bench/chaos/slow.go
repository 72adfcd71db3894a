package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// The goals of slow.
const (
	p99AtMost  = 1.5 // times that without the slow client
	growAtMost = 24  // MiB: limits.pending, 8 MiB, and what Go's collector leaves lying
)

// slowText is what a message has besides its time of sending.
const slowText = 150

// slow plays rounds without and with a client that does not read.
func slow(ctx context.Context, o options) error {
	if o.length == 0 {
		o.length = 30 * time.Second
	}
	var ratios, memory []float64
	for round := range o.rounds {
		var runs [2]slowRun // without, with
		for _, with := range []int{round % 2, 1 - round%2} {
			run, err := playSlow(ctx, o, with == 1)
			if err != nil {
				return err
			}
			runs[with] = run
			fmt.Println(run)
		}
		ratios = append(ratios, float64(runs[1].p99)/float64(runs[0].p99))
		memory = append(memory, runs[1].memory-runs[0].memory)
		fmt.Printf("round %d: p99 %.2f times that without, %+.0f MiB\n", round+1, ratios[round], memory[round])
	}
	slices.Sort(ratios)
	slices.Sort(memory)
	ratio, grown := ratios[len(ratios)/2], memory[len(memory)/2]
	fmt.Printf("median of %d pairs: p99 %.2f times that without a slow client, %+.0f MiB\n", o.rounds, ratio, grown)
	if ratio > p99AtMost || grown > growAtMost {
		return fmt.Errorf("the goals are %.1f times and %d MiB", p99AtMost, growAtMost)
	}
	return nil
}

type slowRun struct {
	with          bool
	received      int
	median, p99   time.Duration
	memory        float64
	cutAfter      time.Duration
	reason, close string
}

func (r slowRun) String() string {
	s := fmt.Sprintf("without: %d deliveries, median %v, p99 %v, peak %.0f MiB", r.received, r.median, r.p99, r.memory)
	if r.with {
		s = strings.Replace(s, "without", "with", 1) + fmt.Sprintf("; cut off after %.1f s; the client: %s; the server: %s", r.cutAfter.Seconds(), r.close, r.reason)
	}
	return s
}

func playSlow(ctx context.Context, o options, with bool) (run slowRun, err error) {
	run.with = with
	s, err := newServer(o.caddy, "room demo {\nidentity server\n}\nlimits {\nsessions 1000\nper_address 1000\n}")
	if err != nil {
		return run, err
	}
	defer func() { s.close(&err) }()
	if _, err := s.start(ctx); err != nil {
		return run, err
	}
	address := strings.Replace(s.url(), "http", "ws", 1) + "/rooms/demo/ws"
	join := func() (*wsload.Conn, error) {
		c, err := wsload.Dial(ctx, address, "")
		if err != nil {
			return nil, err
		}
		return c, c.Send(wsload.Frame([]byte(`{"op":"hello"}`)))
	}
	var readers []*reader
	defer func() {
		for _, r := range readers {
			r.conn.Close()
		}
	}()
	for range o.sessions {
		c, err := join()
		if err != nil {
			return run, err
		}
		readers = append(readers, &reader{conn: c})
	}
	var stuck net.Conn
	if with {
		if stuck, err = neverReads(address); err != nil {
			return run, err
		}
		defer stuck.Close()
	}
	sender, err := join()
	if err != nil {
		return run, err
	}
	defer sender.Close()

	var all sync.WaitGroup
	for _, r := range readers {
		all.Go(r.read)
	}
	all.Go(func() {
		for _, err := sender.Next(); err == nil; {
			_, err = sender.Next()
		}
	})
	// By the clock, as a busy machine makes ticks late.
	began := time.Now()
	seq := 0
	for time.Since(began) < o.length && ctx.Err() == nil {
		for due := int(time.Since(began).Seconds() * float64(o.rate)); seq < due; {
			seq++
			text := fmt.Sprintf(`{"op":"send","seq":%d,"channel":"c","data":"%d %s"}`, seq, time.Now().UnixNano(), strings.Repeat("x", slowText))
			if err := sender.Send(wsload.Frame([]byte(text))); err != nil {
				return run, err
			}
		}
		time.Sleep(time.Millisecond)
		if with && run.cutAfter == 0 {
			if log, _ := os.ReadFile(s.log.Name()); slowLine(log) != "" {
				run.cutAfter, run.reason = time.Since(began), slowLine(log)
			}
		}
	}
	until(ctx, time.Minute, "the last messages", func() bool {
		return !slices.ContainsFunc(readers, func(r *reader) bool { return r.count() < seq })
	})
	for _, r := range readers {
		r.conn.Close()
	}
	sender.Close()
	all.Wait()
	var latencies []time.Duration
	for i, r := range readers {
		if len(r.latencies) != seq {
			return run, fmt.Errorf("reader %d got %d of %d messages: %w", i, len(r.latencies), seq, r.err)
		}
		latencies = append(latencies, r.latencies...)
	}
	slices.Sort(latencies)
	run.received = len(latencies)
	run.median, run.p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	run.memory = s.peakMemory()
	if with {
		if run.reason == "" {
			return run, errors.New("the slow client was not cut off")
		}
		token, closed := closing(stuck)
		if run.close, err = comesBack(ctx, address, token); err != nil {
			return run, err
		}
		run.close = closed + "; when it comes back: " + run.close
	}
	return run, nil
}

// reader is a client that reads and acknowledges.
type reader struct {
	conn *wsload.Conn
	err  error

	mu        sync.Mutex
	latencies []time.Duration
}

func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.latencies)
}

func (r *reader) read() {
	for n := 0; ; {
		b, err := r.conn.Next()
		if err != nil {
			r.err = err
			return
		}
		now := time.Now().UnixNano()
		if !bytes.HasPrefix(b, []byte(`{"op":"message","seq":`)) {
			continue
		}
		seq, _, _ := bytes.Cut(b[len(`{"op":"message","seq":`):], []byte(","))
		_, data, _ := bytes.Cut(b, []byte(`"data":"`))
		sent, _, _ := bytes.Cut(data, []byte(" "))
		at, err := strconv.ParseInt(string(sent), 10, 64)
		if err != nil {
			r.err = err
			return
		}
		r.mu.Lock()
		r.latencies = append(r.latencies, time.Duration(now-at))
		r.mu.Unlock()
		if n++; n%32 == 0 {
			if r.err = r.conn.Send(wsload.Frame(fmt.Appendf(nil, `{"op":"ack","seq":%s}`, seq))); r.err != nil {
				return
			}
		}
	}
}

// neverReads joins, and leaves all that comes where it is.
func neverReads(address string) (net.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	// Before connecting, as the window is agreed on then: the kernel must not
	// read in our place.
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10)
		}); e != nil {
			return e
		}
		return err
	}}
	conn, err := small.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if _, _, err := (ws.Dialer{}).Upgrade(conn, u); err != nil {
		return nil, err
	}
	_, err = conn.Write(wsload.Frame([]byte(`{"op":"hello"}`)))
	return conn, err
}

// slowLine is the line in which the server says that it cut a client off.
func slowLine(log []byte) string {
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte("slow")) {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// welcome is what of a welcome matters here.
type welcome struct {
	Resume  string `json:"resume"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason"`
}

// closing reads all that a client was sent, beginning with the welcome, whose
// token it returns, and says how the connection ended.
func closing(conn net.Conn) (token, how string) {
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for n := 0; ; n++ {
		f, err := ws.ReadFrame(conn)
		switch {
		case errors.Is(err, io.EOF):
			return token, fmt.Sprintf("closed after %d messages", n)
		case err != nil:
			return token, fmt.Sprintf("%v after %d messages", err, n)
		case f.Header.OpCode == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return token, fmt.Sprintf("close code %d, %q, after %d messages", code, reason, n)
		}
		var w welcome
		if n == 0 && json.Unmarshal(f.Payload, &w) == nil {
			token = w.Resume
		}
	}
}

// comesBack resumes a session and says what it is told.
func comesBack(ctx context.Context, address, token string) (string, error) {
	c, err := wsload.Dial(ctx, address, "")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Send(wsload.Frame(fmt.Appendf(nil, `{"op":"hello","resume":%q}`, token))); err != nil {
		return "", err
	}
	b, err := c.Next()
	if err != nil {
		return "", fmt.Errorf("coming back: %w", err)
	}
	var w welcome
	err = json.Unmarshal(b, &w)
	return fmt.Sprintf("resumed %t %s", w.Resumed, w.Reason), err
}
