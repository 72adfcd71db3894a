package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// putEvery is the time between single puts: longer than any server is busy with one.
const putEvery = 8 * time.Second

// settle is how long a new link is left alone: peers ask each other for what they
// lack for some seconds, and GenosSRV does not save meanwhile.
const settle = 10 * time.Second

// changes are nodes of the graph with new values, each node once.
type changes struct {
	rng     *rand.Rand
	numbers []int
}

func (b *bench) newChanges() *changes {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	return &changes{rng, rng.Perm(b.size)}
}

func (c *changes) next(n int) []node {
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i] = newNode(c.rng, c.numbers[i], fmt.Sprint("change ", c.numbers[i]))
	}
	c.numbers = c.numbers[n:]
	return nodes
}

// measurePuts puts single nodes, by a peer and over HTTP, and then many.
func (b *bench) measurePuts(ctx context.Context, s *server, v rounds.Values) error {
	p, err := connect(ctx, s.relay, b.ip)
	if err != nil {
		return err
	}
	defer p.close()
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	// As long as the puts will take: a process's own tasks come and go.
	idle, err := spend(s.PID(), func() error { return sleep(ctx, time.Duration(b.puts)*putEvery) })
	if err != nil {
		return err
	}
	v[memoryRest], _ = process.Memory(s.PID())
	c := b.newChanges()
	var safe rounds.Series
	spent, err := spend(s.PID(), func() error {
		for _, n := range c.next(b.puts) {
			took, err := putOne(ctx, p, s, n)
			if err != nil {
				return err
			}
			safe = append(safe, milliseconds(took))
		}
		return nil
	})
	if err != nil {
		return err
	}
	v[singleSafe] = safe.Median()
	spent = spent.above(idle, b.puts)
	v[singleCPU], v[singleBytes], v[singleDirty] = spent.cpu*1e3, spent.written/1e3, spent.dirtied/1e3

	if s.http != "" {
		var took rounds.Series
		for _, n := range c.next(b.puts) {
			d, err := putOverHTTP(ctx, s.http, n)
			if err != nil {
				return err
			}
			took = append(took, milliseconds(d))
		}
		v[singleHTTP] = took.Median()
	}

	many := c.next(b.burst)
	var took time.Duration
	spent, err = spend(s.PID(), func() error {
		began := time.Now()
		if err := p.putAll(ctx, many); err != nil {
			return err
		}
		at, err := s.disk.saved(ctx, marks(many))
		took = at.Sub(began)
		return err
	})
	if err != nil {
		return err
	}
	v[burstRate] = float64(b.burst) / took.Seconds()
	spent = spent.above(idle, b.burst)
	v[burstCPU], v[burstBytes] = spent.cpu*1e3, spent.written/1e3
	v[memoryNow], v[memoryPeak] = process.Memory(s.PID())
	return nil
}

// putOne puts a node and returns after putEvery; it tells how long it took until
// the node was on the disk.
func putOne(ctx context.Context, p *peer, s *server, n node) (time.Duration, error) {
	began := time.Now()
	if err := p.put(ctx, n); err != nil {
		return 0, err
	}
	at, err := s.disk.saved(ctx, []string{n.mark})
	if err != nil {
		return 0, err
	}
	if at.Before(began) {
		return 0, errors.New("a put was not written")
	}
	return at.Sub(began), sleep(ctx, putEvery-time.Since(began))
}

func putOverHTTP(ctx context.Context, room string, n node) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, room+"/graph/"+n.id, bytes.NewReader(n.value))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	said, err := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		err = errors.Join(err, fmt.Errorf("a put over HTTP: status %s: %.500s", response.Status, said))
	}
	return took, err
}

// usage is what a process used.
type usage struct {
	seconds, cpu, written, dirtied float64
}

// used is what a process has used so far.
func used(pid int) usage {
	now := float64(time.Now().UnixNano()) / float64(time.Second)
	return usage{now, process.CPU(pid), process.Written(pid), process.Dirtied(pid)}
}

// spend measures a process for as long as f takes.
func spend(pid int, f func() error) (usage, error) {
	before := used(pid)
	err := f()
	return used(pid).minus(before, 1), err
}

func (u usage) minus(other usage, times float64) usage {
	return usage{u.seconds - other.seconds*times, u.cpu - other.cpu*times, u.written - other.written*times, u.dirtied - other.dirtied*times}
}

// above takes away what the process uses when nothing is asked of it, and divides
// the rest by n.
func (u usage) above(idle usage, n int) usage {
	rest := u.minus(idle, u.seconds/idle.seconds)
	return usage{cpu: rest.cpu / float64(n), written: rest.written / float64(n), dirtied: rest.dirtied / float64(n)}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
