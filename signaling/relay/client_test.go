package relay

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errGone = errors.New("connection ended")

// client is a Transport in memory, and what is at its other end. It is used in
// a synctest bubble.
type client struct {
	t    testing.TB
	in   chan any // string or error
	gone chan struct{}
	done chan struct{} // Serve returned

	mu     sync.Mutex
	out    []string
	hold   chan struct{} // not nil: Write waits
	delay  time.Duration // of each Write
	once   sync.Once
	code   int
	reason string
}

// bubble runs f with a relay, on a clock of its own. Everything must have ended
// when it returns.
func bubble(t *testing.T, cfg Config, f func(t *testing.T, r *Relay)) {
	synctest.Test(t, func(t *testing.T) {
		r := New(cfg)
		r.SetRooms([]string{"demo"})
		f(t, r)
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if s := r.Stats(); s.Connections != 0 || s.Subscriptions != 0 {
			t.Errorf("left over: %+v", s)
		}
		if n := len(r.index.buckets); n != 0 {
			t.Errorf("left over in the index: %d places", n)
		}
		if n := len(r.topics.selfs); n != 0 && r.local.speaker.peers == nil {
			t.Errorf("left over: %d self topics", n)
		}
		if n := len(r.addresses.inUse); n != 0 {
			t.Errorf("left over: %d addresses", n)
		}
	})
}

func connect(t testing.TB, r *Relay, address string) *client {
	t.Helper()
	conn, err := r.Accept(address)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, in: make(chan any, 100_000), gone: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		conn.Serve(c)
	}()
	return c
}

func (c *client) Read() ([]byte, error) {
	select {
	case <-c.gone:
		return nil, errGone
	case x := <-c.in:
		if err, ok := x.(error); ok {
			return nil, err
		}
		return []byte(x.(string)), nil
	}
}

func (c *client) Write(batch []Message) error {
	c.mu.Lock()
	hold, delay := c.hold, c.delay
	c.mu.Unlock()
	time.Sleep(delay)
	if hold != nil {
		select {
		case <-hold:
		case <-c.gone:
		}
	}
	select {
	case <-c.gone:
		return errGone
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range batch {
		c.out = append(c.out, string(m.Head)+string(m.Tail))
	}
	return nil
}

func (c *client) Close(code int, reason string) {
	c.mu.Lock()
	c.code, c.reason = code, reason
	c.mu.Unlock()
	c.Abort()
}

func (c *client) Abort() { c.once.Do(func() { close(c.gone) }) }

// send sends messages: strings, or events.
func (c *client) send(messages ...any) {
	for _, m := range messages {
		if ev, ok := m.(*nostr.Event); ok {
			m = eventMessage(ev)
		}
		c.in <- m
	}
}

// got returns what arrived since it was last called, after everything has come
// to rest.
func (c *client) got() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.out
	c.out = nil
	return out
}

// expect fails unless exactly these messages arrived, each one beginning with
// the wanted text.
func (c *client) expect(want ...string) {
	c.t.Helper()
	got := c.got()
	if len(got) != len(want) {
		c.t.Fatalf("got %d messages, want %d:\n%s\nwant\n%s", len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			c.t.Errorf("message %d: got %s, want %s…", i, got[i], want[i])
		}
	}
}

// expectClosed fails unless the connection was closed with this code.
func (c *client) expectClosed(code int) {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		c.t.Fatalf("the connection is open, want it closed with %d", code)
	}
	if c.code != code {
		c.t.Errorf("closed with %d %q, want %d", c.code, c.reason, code)
	}
}

func (c *client) leave() {
	c.Abort()
	<-c.done
}

// block makes the client stop reading, until the returned func is called.
func (c *client) block() (unblock func()) {
	hold := make(chan struct{})
	c.mu.Lock()
	c.hold = hold
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.hold = nil
		c.mu.Unlock()
		close(hold)
	}
}

func eventMessage(ev *nostr.Event) string { return `["EVENT",` + ev.String() + `]` }

const secretKey = "0000000000000000000000000000000000000000000000000000000000000005"

// signed returns a valid event of now.
func signed(t testing.TB, topic, content string) *nostr.Event {
	t.Helper()
	return sign(t, &nostr.Event{Kind: signaling.Kind(topic), CreatedAt: nostr.Now(),
		Tags: nostr.Tags{{"x", topic}}, Content: content})
}

func sign(t testing.TB, ev *nostr.Event) *nostr.Event {
	t.Helper()
	if err := ev.Sign(secretKey); err != nil {
		t.Fatal(err)
	}
	return ev
}

var demoRoot = signaling.RootTopic(engine.AppRoom("demo"))

func announcement(t testing.TB, peer string) *nostr.Event {
	t.Helper()
	return signed(t, demoRoot, fmt.Sprintf(`{"peerId":%q}`, peer))
}

// offer is a message to a peer: no announce, so that it is not dropped first.
func offer(t testing.TB, from, to string) *nostr.Event {
	t.Helper()
	return signed(t, signaling.SelfTopic(engine.AppRoom("demo"), to),
		fmt.Sprintf(`{"peerId":%q,"offer":{"type":"offer","sdp":"sealed"},"peer":{"created":1}}`, from))
}

func req(id string, topics ...string) string {
	return fmt.Sprintf(`["REQ",%q,{"#x":["%s"],"since":%d}]`, id, strings.Join(topics, `","`), time.Now().Unix()+1000)
}

func okText(ev *nostr.Event, accepted bool, reason string) string {
	return fmt.Sprintf(`["OK","%s",%t,"%s`, ev.ID, accepted, reason)
}

func eventText(id string, ev *nostr.Event) string {
	return fmt.Sprintf(`["EVENT",%q,{"id":"%s"`, id, ev.ID)
}
