package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// bench is one run of this program.
type bench struct {
	folder   string        // of all servers' files
	ip       string        // of links
	pages    *pages        // nil: none
	sizes    []int         // of graphs that are caught up with
	patience time.Duration // of a page or a peer that catches up
	size     int           // of the graph that is written to
	puts     int           // single ones
	burst    int           // puts that are sent as fast as the link takes them

	never map[string]bool // what took longer than patience
}

// measure measures one server, which is started afresh for each size of a graph.
func (b *bench) measure(ctx context.Context, c contestant, round int) (rounds.Values, error) {
	v := rounds.Values{}
	for _, size := range b.sizes {
		what := fmt.Sprintf("%s, %d nodes", c.name, size)
		if b.never[what] {
			continue
		}
		err := b.with(ctx, c, size, round, func(s *server) error { return b.measureCatchUp(ctx, s, size, v) })
		if errors.Is(err, context.DeadlineExceeded) {
			b.never[what] = true
		}
		if err != nil && !b.never[what] {
			return nil, fmt.Errorf("catching up with %s: %w", what, err)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "  %s: %v\n", what, err)
		}
	}
	if b.size == 0 {
		return v, nil
	}
	err := b.with(ctx, c, b.size, round, func(s *server) error { return b.measurePuts(ctx, s, v) })
	if err != nil {
		return nil, fmt.Errorf("puts at %d nodes: %w", b.size, err)
	}
	return v, nil
}

// with runs a server that has a graph of a size, made once, and copied for each use.
func (b *bench) with(ctx context.Context, c contestant, size, round int, f func(*server) error) error {
	made := filepath.Join(b.folder, fmt.Sprintf("%s-%d", strings.ReplaceAll(c.name, " ", "-"), size))
	if _, err := os.Stat(made); err != nil {
		if err := b.seed(ctx, c, size, made); err != nil {
			return fmt.Errorf("making the graph: %w", err)
		}
	}
	used := made + fmt.Sprint("-in-", round)
	if err := os.CopyFS(used, os.DirFS(made)); err != nil {
		return err
	}
	defer os.RemoveAll(used)
	s, err := c.start(ctx, used)
	if err != nil {
		return err
	}
	defer s.stop()
	return f(s)
}

// seed makes a graph by putting its nodes into an empty room.
func (b *bench) seed(ctx context.Context, c contestant, size int, folder string) (err error) {
	fmt.Fprintf(os.Stderr, "  making a graph of %d nodes\n", size)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder)
		}
	}()
	s, err := c.start(ctx, folder)
	if err != nil {
		return err
	}
	defer s.stop()
	p, err := connect(ctx, s.relay, b.ip)
	if err != nil {
		return err
	}
	defer p.close()
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	nodes := make([]node, size)
	rng := rand.New(rand.NewPCG(uint64(size), 0))
	for i := range nodes {
		nodes[i] = newNode(rng, i, fmt.Sprint("seed ", i))
	}
	if err := p.putAll(ctx, nodes); err != nil {
		return err
	}
	_, err = s.disk.saved(ctx, marks(nodes))
	return err
}

// measureCatchUp brings a page, and a peer of this program, up to date.
func (b *bench) measureCatchUp(ctx context.Context, s *server, size int, v rounds.Values) error {
	if b.pages != nil {
		took, bytes, err := b.pages.catchUp(s.relay, size, b.patience)
		if err != nil {
			return fmt.Errorf("a page: %w", err)
		}
		v[pageTime(size)], v[pageBytes(size)] = milliseconds(took), float64(bytes)/1e3
	}
	p, err := connect(ctx, s.relay, b.ip)
	if err != nil {
		return err
	}
	defer p.close()
	within, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	took, bytes, err := p.catchUp(within, size)
	if err != nil {
		return fmt.Errorf("a peer: %w", err)
	}
	v[peerTime(size)], v[peerBytes(size)] = milliseconds(took), float64(bytes)/1e3
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
