package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
)

// savedWithin is how long our server may take to have all that it was sent on its disk.
const savedWithin = 60 * time.Second

// disk tells when a server has what it was sent on its disk.
type disk interface {
	// saved waits until the values with these marks, which were sent already or
	// are being sent, are on the disk, and returns since when they are.
	saved(ctx context.Context, marks []string) (time.Time, error)
	close()
}

// events are those of our server: it tells of a change that is on the disk.
type events struct {
	stop context.CancelFunc
	done chan struct{} // closed when the stream has ended
	more chan struct{}

	mu   sync.Mutex
	seen map[string]time.Time // by mark
}

var markField = regexp.MustCompile(`"mark":"([^"]*)"`)

func watchEvents(ctx context.Context, url string) (*events, error) {
	ctx, stop := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		stop()
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("status %s", response.Status)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("watching %s: %w", url, err)
	}
	e := &events{stop: stop, done: make(chan struct{}), more: make(chan struct{}, 1), seen: make(map[string]time.Time)}
	go func() {
		defer close(e.done)
		defer response.Body.Close()
		for lines := bufio.NewReaderSize(response.Body, 1<<20); ; {
			line, err := lines.ReadSlice('\n')
			if err != nil {
				return
			}
			if m := markField.FindSubmatch(line); m != nil {
				e.mu.Lock()
				e.seen[string(m[1])] = time.Now()
				e.mu.Unlock()
				wake(e.more)
			}
		}
	}()
	return e, nil
}

func (e *events) saved(ctx context.Context, marks []string) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, savedWithin)
	defer cancel()
	for {
		e.mu.Lock()
		for len(marks) > 0 && !e.seen[marks[0]].IsZero() {
			if e.seen[marks[0]].After(at) {
				at = e.seen[marks[0]]
			}
			marks = marks[1:]
		}
		e.mu.Unlock()
		if len(marks) == 0 {
			return at, nil
		}
		select {
		case <-e.more:
		case <-e.done:
			return at, fmt.Errorf("the server ended its events with %d changes missing", len(marks))
		case <-ctx.Done():
			return at, fmt.Errorf("%d changes missing in the events: %w", len(marks), ctx.Err())
		}
	}
}

func (e *events) close() {
	e.stop()
	<-e.done
}

// files are those of a server that does not tell: what it was sent is on the disk
// when it has written for the last time, and does nothing more.
type files struct {
	pid     int
	pattern string
}

func watchFiles(pid int, pattern string) *files { return &files{pid, pattern} }

// quietFor is for how long a server must neither have written nor used more than
// quietCPU of a core, until it counts as idle.
const (
	quietFor = 4 * time.Second
	quietCPU = 0.15
)

func (f *files) saved(ctx context.Context, _ []string) (written time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*savedWithin)
	defer cancel()
	const every = quietFor / 8
	tick := time.NewTicker(every)
	defer tick.Stop()
	active, used := time.Now(), process.CPU(f.pid)
	for time.Since(active) < quietFor {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return written, fmt.Errorf("the server does not come to rest: %w", ctx.Err())
		}
		last, err := f.written()
		if err != nil {
			return written, err
		}
		now := process.CPU(f.pid)
		if last != written || now-used > quietCPU*every.Seconds() {
			active = time.Now()
		}
		written, used = last, now
	}
	return written, nil
}

// written is when one of the files was written for the last time.
func (f *files) written() (last time.Time, err error) {
	names, err := filepath.Glob(f.pattern)
	if err != nil {
		return last, err
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last, nil
}

func (f *files) close() {}
