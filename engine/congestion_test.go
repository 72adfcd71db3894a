package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pipe is a path for a window's tests, in time of its own: bytes leave one after
// the other at a rate and are acknowledged a round trip later.
type pipe struct {
	rate float64 // bytes/s
	rtt  time.Duration
	// jitter is added to the round trip of single frames, up to this.
	jitter time.Duration

	now      time.Time
	free     time.Time // when all that was sent has left
	acks     []pipeAck
	buffered int
	random   *rand.Rand
}

type pipeAck struct {
	at    time.Time
	bytes int
}

func newPipe(rate float64, rtt time.Duration) *pipe {
	return &pipe{rate: rate, rtt: rtt, now: time.Unix(0, 0), random: rand.New(rand.NewPCG(1, 2))}
}

func (p *pipe) send(w *window, bytes int) {
	w.send(p.now, bytes)
	if p.free.Before(p.now) {
		p.free = p.now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
	at := p.free.Add(p.rtt + time.Duration(p.random.Float64()*float64(p.jitter)))
	if n := len(p.acks); n > 0 && at.Before(p.acks[n-1].at) {
		at = p.acks[n-1].at // in order
	}
	p.acks = append(p.acks, pipeAck{at, bytes})
	p.buffered += bytes
}

// ack moves on to the next acknowledgement.
func (p *pipe) ack(w *window) {
	a := p.acks[0]
	p.acks = p.acks[1:]
	p.now, p.buffered = a.at, p.buffered-a.bytes
	w.ack(p.now, p.buffered)
}

// bulk sends frames for a time, as fast as the window allows, and returns the
// rate of the acknowledged and the time that a frame would have had to wait for
// the others, 95 of 100 times at most.
func (p *pipe) bulk(w *window, d time.Duration) (rate float64, queue time.Duration) {
	start, end, before := p.now, p.now.Add(d), w.acked
	var queues []time.Duration
	for p.now.Before(end) {
		for p.buffered < w.size() {
			p.send(w, 16<<10)
		}
		queues = append(queues, p.free.Sub(p.now))
		p.ack(w)
	}
	slices.Sort(queues)
	return float64(w.acked-before) / p.now.Sub(start).Seconds(), queues[len(queues)*95/100]
}

// A window fills whatever path it meets, and adds little to its round trip.
func TestWindowFitsThePath(t *testing.T) {
	for _, c := range []struct {
		rate float64
		rtt  time.Duration
	}{
		{50e6, 200 * time.Microsecond}, // a machine with itself
		{12.5e6, 20 * time.Millisecond},
		{2.5e6, 50 * time.Millisecond},
		{1e6, 600 * time.Millisecond},
		{128e3, 10 * time.Millisecond},
		{32e3, 50 * time.Millisecond},
	} {
		w, p := new(window), newPipe(c.rate, c.rtt)
		p.bulk(w, 20*time.Second) // to settle
		rate, queue := p.bulk(w, 60*time.Second)
		if rate < 0.95*c.rate {
			t.Errorf("%.0f bytes/s of %.0f, round trip %s", rate, c.rate, c.rtt)
		}
		// Two frames are always allowed, and one may exceed the window.
		frame := time.Duration((16 << 10) / c.rate * float64(time.Second))
		if most := c.rtt*3/10 + slack + 3*frame; queue > most {
			t.Errorf("%s of queue at %.0f bytes/s, round trip %s; want at most %s", queue, c.rate, c.rtt, most)
		}
	}
}

func TestWindowFollowsThePath(t *testing.T) {
	w, p := new(window), newPipe(2e6, 50*time.Millisecond)
	p.bulk(w, 30*time.Second)
	for _, c := range []struct {
		rate float64
		rtt  time.Duration
	}{
		{8e6, 50 * time.Millisecond},
		{0.5e6, 50 * time.Millisecond},
		{2e6, 200 * time.Millisecond},
		{2e6, 20 * time.Millisecond},
	} {
		p.rate, p.rtt = c.rate, c.rtt
		p.bulk(w, 60*time.Second)
		rate, queue := p.bulk(w, 30*time.Second)
		if rate < 0.95*min(c.rate, windowMax/c.rtt.Seconds()) || queue > c.rtt/2+100*time.Millisecond {
			t.Errorf("%.0f bytes/s of %.0f, %s of queue, round trip %s", rate, c.rate, queue, c.rtt)
		}
	}
}

// A round trip that varies by more than the gain does not starve the link.
func TestWindowStandsJitter(t *testing.T) {
	w, p := new(window), newPipe(2e6, 50*time.Millisecond)
	p.jitter = 50 * time.Millisecond
	p.bulk(w, 20*time.Second)
	if rate, _ := p.bulk(w, 10*time.Minute); rate < 0.8*p.rate {
		t.Errorf("%.0f bytes/s of %.0f", rate, p.rate)
	}
}

// A sender that has little to say does not shrink its window.
func TestWindowOfAQuietSender(t *testing.T) {
	w, p := new(window), newPipe(2e6, 100*time.Millisecond)
	p.bulk(w, 20*time.Second)
	for len(p.acks) > 0 {
		p.ack(w)
	}
	before := w.size()
	for range 600 {
		p.send(w, 200)
		w.idle()
		p.ack(w)
		p.now = p.now.Add(100 * time.Millisecond)
	}
	if now := w.size(); now < before*3/4 || now > before*5/4 {
		t.Errorf("window was %d, is %d", before, now)
	}
}

// Whatever happens, a window keeps its bounds and remembers little.
func TestWindowBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, now, buffered := new(window), time.Unix(0, 0), 0
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.Int64Range(0, 20e9).Draw(t, "time"))) },
			"send": func(t *rapid.T) {
				for n := rapid.IntRange(1, 200).Draw(t, "frames"); n > 0 && buffered < w.size(); n-- {
					size := rapid.IntRange(15, 16<<10).Draw(t, "size")
					buffered += size
					w.send(now, size)
				}
			},
			"idle": func(*rapid.T) { w.idle() },
			"ack": func(t *rapid.T) {
				buffered = rapid.IntRange(0, buffered).Draw(t, "buffered")
				w.ack(now, buffered)
			},
			"": func(t *rapid.T) {
				if size := w.size(); size < windowMin || size > windowMax {
					t.Fatalf("window %d", size)
				}
				if buffered > 1<<20 || len(w.samples) > 1<<20/sampleEvery {
					t.Fatalf("%d bytes buffered, %d samples", buffered, len(w.samples))
				}
			},
		})
	})
}
