package memnet_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// end is one end of a link.
type end struct {
	opened, closed chan struct{}
	gate           chan struct{} // if any, it takes nothing until this is closed
	writable       func()

	mu     sync.Mutex
	frames [][]byte
}

func newEnd() *end {
	return &end{opened: make(chan struct{}), closed: make(chan struct{}), writable: func() {}}
}

func (e *end) LinkOpen() { close(e.opened) }

func (e *end) LinkFrame(b []byte) {
	if e.gate != nil {
		<-e.gate
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frames = append(e.frames, slices.Clone(b))
}

func (e *end) LinkJunk(engine.Junk) {}
func (e *end) LinkWritable()        { e.writable() }
func (e *end) LinkClosed(error)     { close(e.closed) }

func (e *end) got() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.frames)
}

func linked(t *testing.T, net *memnet.Network) (a, b engine.Link, ea, eb *end) {
	t.Helper()
	ea, eb = newEnd(), newEnd()
	a, offer, err := net.Endpoint("a").Offer(t.Context(), ea)
	if err != nil {
		t.Fatal(err)
	}
	b, answer, err := net.Endpoint("b").Answer(t.Context(), offer, eb)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Accept(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	return a, b, ea, eb
}

// Whatever a path does to packets, frames arrive whole, in order and once, in
// both directions, and in the end nothing is buffered.
func TestFramesOverAnyPath(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			net := memnet.New()
			net.Seed = random.Uint64()
			net.Path = &memnet.Path{
				RTT:  time.Duration(random.IntN(600)) * time.Millisecond,
				Loss: random.Float64() / 4, Duplicate: random.Float64() / 4, Reorder: random.Float64() / 4,
				Rate: 100_000 + random.IntN(100_000_000), Queue: 5_000 + random.IntN(1_000_000),
			}
			a, b, ea, eb := linked(t, net)
			<-ea.opened
			<-eb.opened
			var sent [2][][]byte
			for i := range 100 {
				for j, l := range []engine.Link{a, b} {
					f := binary.BigEndian.AppendUint64(make([]byte, random.IntN(8_000)), uint64(i))
					sent[j] = append(sent[j], f)
					if err := l.Send(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Hour)
			for j, e := range []*end{eb, ea} {
				if !slices.EqualFunc(e.got(), sent[j], slices.Equal) {
					t.Errorf("%+v: %d frames arrived, or not in order", *net.Path, len(e.got()))
				}
			}
			if a.Buffered() != 0 || b.Buffered() != 0 {
				t.Errorf("%+v: %d and %d bytes still buffered", *net.Path, a.Buffered(), b.Buffered())
			}
			a.Close()
			<-ea.closed
			<-eb.closed
		})
	}
}

// Without a path too, what is lost comes later, with what was sent after it.
func TestLossWithoutPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Delay, net.Loss = 100*time.Millisecond, 0.2
		a, _, ea, eb := linked(t, net)
		<-eb.opened
		const frames, gap = 1000, 10 * time.Millisecond
		late := 0
		for i := range frames {
			if err := a.Send(binary.BigEndian.AppendUint64(nil, uint64(i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(gap)
			synctest.Wait()
			if len(eb.got()) < i+1-int(net.Delay/gap) {
				late++
			}
		}
		time.Sleep(time.Minute)
		for i, b := range eb.got() {
			if binary.BigEndian.Uint64(b) != uint64(i) {
				t.Fatalf("frame %d as number %d", binary.BigEndian.Uint64(b), i)
			}
		}
		if n := len(eb.got()); n != frames || a.Buffered() != 0 || late < frames/2 {
			t.Errorf("%d frames of %d, %d bytes buffered, some late %d times", n, frames, a.Buffered(), late)
		}
		a.Close()
		<-ea.closed
		<-eb.closed
	})
}

// A receiver that takes nothing holds up its sender: only so much leaves it.
func TestReceiverHoldsSenderBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Path = &memnet.Path{RTT: 50 * time.Millisecond}
		a, _, _, eb := linked(t, net)
		<-eb.opened
		eb.gate = make(chan struct{})
		const frames, size = 256, 16 << 10
		for range frames {
			if err := a.Send(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute)
		if left := frames*size - a.Buffered(); left > 1<<20+size || left < 1<<19 {
			t.Errorf("%d bytes left for a receiver that takes none", left)
		}
		close(eb.gate)
		time.Sleep(10 * time.Minute)
		if n := len(eb.got()); n != frames || a.Buffered() != 0 {
			t.Errorf("%d frames of %d, %d bytes buffered", n, frames, a.Buffered())
		}
		a.Close()
		<-eb.closed
	})
}

// A sender is woken when what is buffered falls to its threshold.
func TestWakeAt(t *testing.T) {
	for _, path := range []*memnet.Path{nil, {RTT: 50 * time.Millisecond, Loss: 0.05}} {
		synctest.Test(t, func(t *testing.T) {
			net := memnet.New()
			net.Path, net.Delay = path, 25*time.Millisecond
			a, _, ea, eb := linked(t, net)
			<-eb.opened
			var woken []int
			ea.writable = func() { woken = append(woken, a.Buffered()) }
			a.WakeAt(30_000)
			for range 100 {
				if err := a.Send(make([]byte, 1000)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(woken) != 1 || woken[0] > 30_000 {
				t.Errorf("woken with %v buffered", woken)
			}
			a.Close()
			<-eb.closed
		})
	}
}

// handClock is a simulation's time.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*handTimer]struct{}
}

type handTimer struct {
	at time.Time
	f  func()
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) AfterFunc(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &handTimer{c.now.Add(d), f}
	c.timers[timer] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, timer)
	}
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	for timer := range c.timers {
		if !timer.at.After(c.now) {
			delete(c.timers, timer)
			due = append(due, timer.f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// The time is that of the clock: without it nothing moves.
func TestInjectedClock(t *testing.T) {
	clock := &handClock{timers: make(map[*handTimer]struct{})}
	net := memnet.New()
	net.Clock = clock
	net.Path = &memnet.Path{RTT: time.Hour}
	a, _, ea, eb := linked(t, net)
	until := func(ok func() bool) time.Duration {
		start := clock.Now()
		for !ok() {
			clock.pass(time.Minute)
			runtime.Gosched()
		}
		return clock.Now().Sub(start)
	}
	isOpen := func() bool {
		select {
		case <-eb.opened:
			return true
		default:
			return false
		}
	}
	if took := until(isOpen); took < time.Hour {
		t.Errorf("open after %s", took)
	}
	until(func() bool { return a.Send([]byte("x")) == nil })
	if took := until(func() bool { return len(eb.got()) > 0 }); took < 30*time.Minute {
		t.Errorf("arrived after %s", took)
	}
	a.Close()
	<-ea.closed
	<-eb.closed
}
