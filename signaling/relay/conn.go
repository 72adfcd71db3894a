package relay

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Conn is one client. Its reader answers one message after the other, so that
// a client that sends much only ever has one event being verified; its writer
// takes what the reader and the fan-out queue.
type Conn struct {
	relay   *Relay
	key     string // of the address
	address *address

	messages *rate.Limiter
	junk     *rate.Limiter
	queue    *queue

	// Used by the reader alone.
	subs    map[string]*subscription
	speaker speaker

	ending atomic.Pointer[ending] // nil until the relay closes the connection
	ended  chan struct{}          // closed then

	mu        sync.Mutex
	transport Transport // nil but during Serve
}

// ending is how the relay closes a connection.
type ending struct {
	code   int
	reason string
}

func newConn(r *Relay, key string, a *address) *Conn {
	return &Conn{
		relay:    r,
		key:      key,
		address:  a,
		messages: rate.NewLimiter(rate.Limit(r.limits.Rate), r.limits.Burst),
		junk:     rate.NewLimiter(rate.Every(forgive), r.limits.Violations),
		queue:    newQueue(r.limits.Pending, r.limits.PendingMessages),
		subs:     map[string]*subscription{},
		speaker:  speaker{topics: r.topics, limit: r.limits.Peers, address: a, addressLimit: r.limits.ValuesPerAddress},
		ended:    make(chan struct{}),
	}
}

// Cancel gives back the place of a connection that came to nothing.
func (c *Conn) Cancel() { c.relay.forget(c) }

// Serve talks to the client until its connection ends, for whatever reason. On
// return nobody uses the transport any more.
func (c *Conn) Serve(t Transport) {
	defer c.relay.forget(c)
	c.relay.counters.opened.Add(1)
	c.setTransport(t)
	defer c.setTransport(nil)

	var writer sync.WaitGroup
	writer.Go(func() { c.write(t) })
	c.read(t)
	if c.ending.Load() == nil {
		// The client is gone: nothing more can be written.
		t.Abort()
		c.queue.close()
	}
	writer.Wait()

	for id := range c.subs {
		c.unsubscribe(id)
	}
	c.speaker.end()
}

// farewellMessages is how many messages are read, and discarded, from a client
// that is being closed, so that its answer to that is read. One that goes on
// sending is not worth more.
const farewellMessages = 16

// read answers messages until the transport ends.
func (c *Conn) read(t Transport) {
	for left := farewellMessages; left > 0; {
		text, err := t.Read()
		if c.ending.Load() != nil {
			left--
		}
		switch {
		case errors.Is(err, ErrBinary):
			if c.ending.Load() == nil {
				c.relay.counters.binary.Add(1)
				c.violation("invalid: binary message, NIP-01 is text")
			}
			continue
		case errors.Is(err, ErrTooLarge):
			c.relay.counters.tooLarge.Add(1)
			reason := fmt.Sprintf("message above %d bytes", c.relay.limits.Message)
			c.cut(CloseTooLarge, reason, "invalid: "+reason, &c.relay.counters.closedTooLarge)
			return
		case err != nil:
			return
		}
		if c.ending.Load() == nil {
			c.handle(text)
		}
	}
}

// reply queues an answer. It waits while the client does not read the earlier
// ones.
func (c *Conn) reply(m *message) {
	c.relay.countDropped(c.queue.reply(m), 0)
}

// batch is the writer's scratch space, shared by all connections.
type batch struct {
	deliveries []delivery
	messages   []Message
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// write writes what is queued, in batches, and at the end says why.
func (c *Conn) write(t Transport) {
	stalled := time.AfterFunc(c.relay.limits.Slow, c.stalled)
	stalled.Stop()
	for c.queue.wait() {
		// Under load others are ready to queue more, and a greater batch spares
		// writes, which cost most. When idle this takes no time.
		runtime.Gosched()
		b := batches.Get().(*batch)
		b.deliveries = c.queue.take(b.deliveries[:0])
		b.messages = b.messages[:0]
		for _, d := range b.deliveries {
			b.messages = append(b.messages, d.message())
		}
		stalled.Reset(c.relay.limits.Slow)
		err := t.Write(b.messages)
		stalled.Stop()
		c.queue.done(b.deliveries)
		clear(b.deliveries)
		clear(b.messages)
		batches.Put(b)
		if err != nil {
			t.Abort()
			c.queue.close()
			return
		}
	}
	if e := c.ending.Load(); e != nil {
		t.Close(e.code, e.reason)
	}
}

// finish closes the connection once a last message, if any, is written. It
// returns false if the connection was being closed already, and does not wait.
func (c *Conn) finish(code int, reason string, last ...*message) bool {
	if !c.ending.CompareAndSwap(nil, &ending{code, reason}) {
		return false
	}
	close(c.ended)
	c.queue.close(last...)
	return true
}

// cut closes a connection that breaks the rules.
func (c *Conn) cut(code int, reason, notice string, counter *atomic.Uint64) {
	if c.finish(code, reason, noticeMessage(notice)) {
		counter.Add(1)
		c.relay.logger.Debug("relay: closing a connection", "address", c.key, "reason", reason)
	}
}

// tooSlow closes a connection whose queue has been full for Limits.Slow.
func (c *Conn) tooSlow() {
	reason := fmt.Sprintf("slow: too much was waiting for %v", c.relay.limits.Slow)
	c.cut(CloseTryLater, reason, "error: "+reason, &c.relay.counters.closedSlow)
}

// stalled ends a connection that did not take a batch within Limits.Slow.
// Nothing can be said to it.
func (c *Conn) stalled() {
	c.cut(CloseTryLater, "slow: a batch was not taken", "", &c.relay.counters.closedSlow)
	c.abort()
}

// abort ends the connection without a word, if it is being served.
func (c *Conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport != nil {
		c.transport.Abort()
	}
}

func (c *Conn) setTransport(t Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transport = t
}
