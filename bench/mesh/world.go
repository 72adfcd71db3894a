package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

const (
	// settledAfter is how long a peer is there before it counts: until the next
	// census, the seal after it, and its links are made.
	settledAfter = 20 * time.Second
	// arrives is the time that a message has.
	arrives = 5 * time.Second
	// sayEvery is how often somebody says something.
	sayEvery = time.Second
)

// world is the room and all that is in it.
type world struct {
	config
	t       *testing.T
	out     io.Writer
	net     *memnet.Network
	all     []*peer // there ever were
	here    []*peer
	leaving sync.WaitGroup
	events  []engine.Event
	twice   int // messages that a seat was told again

	traces []*trace
	said   atomic.Int64

	frames, bytes, meshBytes atomic.Int64

	random *rand.Rand
}

// run plays it. It is called in a bubble of synctest.
func (c config) run(t *testing.T, out io.Writer) *result {
	w := &world{config: c, t: t, out: out, net: memnet.New(), traces: make([]*trace, int(c.play/sayEvery)+1)}
	w.random = rand.New(rand.NewPCG(c.seed, 0))
	w.net.Delay, w.net.Loss, w.net.Census, w.net.Seed = c.delay, c.loss, c.census, c.seed
	r := &result{config: c}
	for range c.peers {
		w.must(w.join())
		time.Sleep(2 * time.Second / time.Duration(c.peers))
	}
	time.Sleep(c.settle)
	w.listen()
	r.links = w.links()
	w.progress("all are there, %d links", sum(r.links)/2)
	r.memory = memory()
	frames, bytes, began := w.frames.Load(), w.bytes.Load(), time.Now()
	time.Sleep(15 * time.Second)
	r.idleFrames, r.idleBytes = w.rate(w.frames.Load()-frames, began), w.rate(w.bytes.Load()-bytes, began)

	w.churnAndSay()
	w.progress("churn is over")
	r.traces, r.twice, r.came = w.traces[:w.said.Load()], w.twice, len(w.all)-c.peers
	r.meshBytes = w.meshBytes.Load()
	time.Sleep(c.settle)
	r.memory = max(r.memory, memory())
	w.must(w.join())
	w.reseal(r)
	w.progress("one more is there")
	r.topology = w.topology()
	r.dropped = make(map[string]uint64)
	for _, p := range w.all {
		for why, n := range p.node.Stats().Dropped {
			r.dropped[why] += n
		}
	}
	for _, p := range w.here {
		p.silent.Store(true) // nobody is to make up for it
		w.leave(p, false)
	}
	w.leaving.Wait()
	return r
}

func (w *world) churnAndSay() {
	start := time.Now()
	moves := 0
	for tick := 0; time.Since(start) < w.play; tick++ {
		due := int(w.churn * float64(w.peers) * time.Since(start).Minutes())
		for ; moves < due; moves++ {
			i := w.random.IntN(len(w.here))
			w.leave(w.here[i], moves%2 == 0)
			w.here = slices.Delete(w.here, i, i+1)
			w.must(w.join())
		}
		if tick%10 == 0 {
			w.must(w.say())
			w.listen()
		}
		time.Sleep(sayEvery / 10)
	}
	time.Sleep(arrives)
	w.listen()
}

// settled are those that have been there for long.
func (w *world) settled() []*peer {
	var list []*peer
	for _, p := range w.here {
		if time.Since(p.since) > settledAfter {
			list = append(list, p)
		}
	}
	return list
}

// reseal waits until everybody has sealed a roster with the last peer in it, and until
// that has the links of its role.
func (w *world) reseal(r *result) {
	began, real := time.Now(), realTime()
	last := w.here[len(w.here)-1]
	for time.Since(began) < time.Minute {
		time.Sleep(250 * time.Millisecond)
		if r.sealed == 0 && !slices.ContainsFunc(w.here, func(p *peer) bool { return p.seat.MeshState().Peers != len(w.here) }) {
			r.sealed = time.Since(began)
		}
		if r.sealed > 0 && last.node.Stats().Links >= len(w.topology().Role(last.id).Links) {
			r.linked = time.Since(began)
			break
		}
	}
	r.resealReal = realTime() - real
	ids := make([]string, len(w.here))
	for i, p := range w.here {
		ids[i] = p.id
	}
	t := cells.New(w.cell, ids[1:]...)
	real = realTime()
	t.Add(ids[0])
	r.oneJoin = realTime() - real
}

// topology is that of who is there.
func (w *world) topology() *cells.Topology {
	t := cells.New(w.cell)
	for _, p := range w.here {
		t.Add(p.id)
	}
	return t
}

func (w *world) links() []int {
	var list []int
	for _, p := range w.here {
		list = append(list, p.node.Stats().Links)
	}
	return list
}

func (w *world) rate(n int64, since time.Time) float64 {
	return float64(n) / time.Since(since).Seconds() / float64(len(w.here))
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) progress(format string, args ...any) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w.out, "%s: "+format+" (%d MiB, %d goroutines)\n",
		append(append([]any{time.Since(w.all[0].since).Round(time.Second)}, args...), m.Sys>>20, runtime.NumGoroutine())...)
}

// memory is what is in use, in bytes.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}
