package relay

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nbd-wtf/go-nostr"
)

// unlimited is what a benchmark of the relay itself needs.
var unlimited = Limits{Rate: 1e12, Burst: 1e12, RatePerAddress: 1e12, BurstPerAddress: 1e12}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(1)
	ev := announcement(b, "P")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.verify(ev); err != nil {
			b.Fatal(err)
		}
	}
}

// An event from its bytes to its answer: everything but the socket, and with
// and without the signature.
func BenchmarkIngest(b *testing.B) {
	limits := unlimited
	limits.Remembered = 1
	r := New(Config{Limits: limits})
	r.SetRooms([]string{"demo"})
	c, err := r.Accept("192.0.2.1")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Cancel()
	var texts [16][]byte
	for i := range texts {
		texts[i] = []byte(eventMessage(announcement(b, fmt.Sprint("P", i))))
	}
	var batch []delivery
	drain := func() {
		batch = c.queue.take(batch[:0])
		c.queue.done(batch)
	}
	b.Run("verified", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.handle(texts[i%len(texts)])
			drain()
		}
	})
	b.Run("duplicate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.handle(texts[0])
			drain()
		}
	})
	b.Run("blocked", func(b *testing.B) {
		text := []byte(eventMessage(signed(b, "elsewhere", `{"peerId":"P"}`)))
		b.ReportAllocs()
		for b.Loop() {
			c.handle(text)
			drain()
		}
	})
}

// sink is a Transport that takes everything.
type sink struct {
	gone     chan struct{}
	messages *atomic.Int64
}

func (s sink) Read() ([]byte, error) { <-s.gone; return nil, errGone }
func (s sink) Write(batch []Message) error {
	s.messages.Add(int64(len(batch)))
	return nil
}
func (s sink) Close(int, string) {}
func (s sink) Abort()            {}

// One event to 100 connections, each with its own writer.
func BenchmarkFanOut100(b *testing.B) {
	r := New(Config{Limits: unlimited})
	s := sink{make(chan struct{}), new(atomic.Int64)}
	done := make(chan struct{})
	for i := range 100 {
		c, err := r.Accept("192.0.2.1")
		if err != nil {
			b.Fatal(err)
		}
		c.subscribe(fmt.Sprint("s", i), nostr.Filters{{Tags: nostr.TagMap{"x": {demoRoot}}}})
		go func() { c.Serve(s); done <- struct{}{} }()
	}
	ev := announcement(b, "P")
	m := &message{tail: serialized(ev.Serialize()).tail(ev), event: ev}
	b.ReportAllocs()
	for b.Loop() {
		r.fanOut(m)
	}
	dropped := r.Stats().DroppedEvents
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/delivery")
	b.ReportMetric(float64(dropped)/float64(b.N), "dropped/op")
	close(s.gone)
	for range 100 {
		<-done
	}
}

// A delivery costs no allocation: not to queue it, nor to take it.
func TestFanOutDoesNotAllocate(t *testing.T) {
	r := New(Config{})
	var conns []*Conn
	for i := range 100 {
		c, err := r.Accept("192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Cancel()
		c.subscribe(fmt.Sprint("s", i), nostr.Filters{{Kinds: []int{20001}, Tags: nostr.TagMap{"x": {"t"}}}})
		conns = append(conns, c)
	}
	ev := &nostr.Event{Kind: 20001, Tags: nostr.Tags{{"x", "t"}}}
	m := &message{tail: []byte("{}]"), event: ev}
	var batch []delivery
	perEvent := testing.AllocsPerRun(1000, func() {
		r.fanOut(m)
		for _, c := range conns {
			batch = c.queue.take(batch[:0])
			if n := len(batch); n == 0 || batch[n-1].msg != m {
				t.Fatal("not delivered")
			}
			c.queue.done(batch)
		}
	})
	// A few for the event are allowed, and the race detector's pools forget.
	if perEvent > 5 {
		t.Errorf("%v allocations for 100 deliveries", perEvent)
	}
}
