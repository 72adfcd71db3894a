package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
)

// marker precedes an event's number in its content, in digits.
const (
	marker = "@@"
	digits = 8
)

// load publishes events that were signed beforehand, and sees each of them
// through: it is over when its publisher has the OK and every subscriber has it,
// once.
type load struct {
	events []browser.Event
	byID   map[string]int // index in events

	outstanding []atomic.Int32 // by event: answers and deliveries to come
	sent        []atomic.Int64 // by event: when, in Unix nanoseconds
	timed       atomic.Int64   // the first event whose deliveries are timed

	publishers  []*publisher
	subscribers []*subscriber

	ctx     context.Context // ended by the first failure, which is its cause
	fail    context.CancelCauseFunc
	readers sync.WaitGroup
}

// publisher has a window of events under way; window has a token for each
// further one that it may send.
type publisher struct {
	conn   *wsload.Conn
	window chan struct{}
}

type subscriber struct {
	conn      *wsload.Conn
	ready     chan struct{} // closed at the EOSE
	from      int           // the first event that counts
	seen      []bool        // by event
	latencies []time.Duration
}

func newLoad(ctx context.Context, events []browser.Event) *load {
	l := &load{
		events:      events,
		byID:        map[string]int{},
		outstanding: make([]atomic.Int32, len(events)),
		sent:        make([]atomic.Int64, len(events)),
	}
	for i, ev := range events {
		l.byID[ev.ID] = i
	}
	l.timed.Store(int64(len(events)))
	l.ctx, l.fail = context.WithCancelCause(ctx)
	return l
}

// close ends all connections and waits for their readers.
func (l *load) close() {
	l.fail(context.Canceled)
	for _, p := range l.publishers {
		p.conn.Close()
	}
	for _, s := range l.subscribers {
		s.conn.Close()
	}
	l.readers.Wait()
}

// connect adds publishers, which share a window of events.
func (l *load) connect(url string, n, window int) error {
	for range n {
		conn, err := wsload.Dial(l.ctx, url, "")
		if err != nil {
			return err
		}
		p := &publisher{conn, make(chan struct{}, max(window/n, 1))}
		for range cap(p.window) {
			p.window <- struct{}{}
		}
		l.publishers = append(l.publishers, p)
		l.read(conn, l.answer)
	}
	return nil
}

// subscribe adds subscribers to a topic, who count events from one on, and waits
// until the relay has them.
func (l *load) subscribe(url, topic string, n, from int) error {
	for range n {
		conn, err := wsload.Dial(l.ctx, url, "")
		if err != nil {
			return err
		}
		s := &subscriber{conn: conn, from: from, ready: make(chan struct{}), seen: make([]bool, len(l.events))}
		l.subscribers = append(l.subscribers, s)
		l.read(conn, func(text []byte) error { return l.deliver(s, text) })
		if err := conn.Send(browser.Subscribe(topic, time.Now())); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
	}
	for _, s := range l.subscribers {
		select {
		case <-s.ready:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		case <-time.After(wsload.ReadyWithin):
			return errors.New("the relay does not answer a REQ with EOSE")
		}
	}
	return nil
}

// read hands a connection's messages over, until it ends.
func (l *load) read(conn *wsload.Conn, handle func([]byte) error) {
	l.readers.Go(func() {
		for {
			text, err := conn.Next()
			if err == nil {
				err = handle(text)
			}
			if err != nil {
				l.fail(err)
				return
			}
		}
	})
}

// answer takes a message to a publisher.
func (l *load) answer(text []byte) error {
	rest, ok := bytes.CutPrefix(text, []byte(`["OK","`))
	if !ok {
		return unexpected(text)
	}
	id, rest, _ := bytes.Cut(rest, []byte(`",`))
	i, ok := l.byID[string(id)]
	if !ok || !bytes.HasPrefix(rest, []byte("true")) {
		return unexpected(text)
	}
	return l.arrived(i)
}

// deliver takes a message to a subscriber.
func (l *load) deliver(s *subscriber, text []byte) error {
	if bytes.HasPrefix(text, []byte(`["EOSE",`)) {
		close(s.ready)
		return nil
	}
	i, err := number(text)
	if err != nil {
		return err
	}
	if i < s.from {
		return nil // acknowledged, and still on its way when we subscribed
	}
	if i >= len(s.seen) || s.seen[i] {
		return fmt.Errorf("event %d was delivered twice, or was never sent", i)
	}
	s.seen[i] = true
	if int64(i) >= l.timed.Load() {
		s.latencies = append(s.latencies, time.Duration(time.Now().UnixNano()-l.sent[i].Load()))
	}
	return l.arrived(i)
}

// number finds which event an EVENT message has.
func number(text []byte) (int, error) {
	at := bytes.Index(text, []byte(marker)) + len(marker)
	if !bytes.HasPrefix(text, []byte(`["EVENT",`)) || at < len(marker) || at+digits > len(text) {
		return 0, unexpected(text)
	}
	i, err := strconv.ParseUint(string(text[at:at+digits]), 10, 31)
	if err != nil {
		return 0, unexpected(text)
	}
	return int(i), nil
}

func unexpected(text []byte) error {
	return fmt.Errorf("the relay sent %.200q", text)
}

// arrived counts an answer or a delivery. The last one makes room in the
// publisher's window.
func (l *load) arrived(i int) error {
	switch left := l.outstanding[i].Add(-1); {
	case left == 0:
		l.publishers[i%len(l.publishers)].window <- struct{}{}
	case left < 0:
		return fmt.Errorf("event %d was answered or delivered too often", i)
	}
	return nil
}

// stalledAfter is how long a phase may take.
const stalledAfter = 3 * time.Minute

// publish sends events from the first to the one before the last index, each
// publisher those that are its own, and waits until they are over. With a
// period they are sent at that pace, and timed from when they were due.
func (l *load) publish(first, last int, period time.Duration) error {
	for i := first; i < last; i++ {
		l.outstanding[i].Store(int32(1 + len(l.subscribers)))
	}
	if period > 0 {
		l.timed.Store(int64(first))
	}
	ctx, cancel := context.WithTimeoutCause(l.ctx, stalledAfter, errors.New("events are lost, or the relay is too slow"))
	defer cancel()
	start := time.Now()
	var all sync.WaitGroup
	for n, p := range l.publishers {
		all.Go(func() {
			for i := first; i < last; i++ {
				if i%len(l.publishers) != n {
					continue
				}
				due := start.Add(time.Duration(i-first) * period)
				time.Sleep(time.Until(due))
				select {
				case <-p.window:
				case <-ctx.Done():
					return
				}
				if period == 0 {
					due = time.Now()
				}
				l.sent[i].Store(due.UnixNano())
				if err := p.conn.Send(l.events[i].Frame); err != nil {
					l.fail(fmt.Errorf("sending: %w", err))
					return
				}
			}
			p.drain(ctx)
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		missing := 0
		for i := first; i < last; i++ {
			missing += int(l.outstanding[i].Load())
		}
		return fmt.Errorf("%d of %d answers and deliveries missing: %w", missing, (last-first)*(1+len(l.subscribers)), context.Cause(ctx))
	}
	return nil
}

// drain waits until the window is whole again.
func (p *publisher) drain(ctx context.Context) {
	for range cap(p.window) {
		select {
		case <-p.window:
		case <-ctx.Done():
			return
		}
	}
	for range cap(p.window) {
		p.window <- struct{}{}
	}
}

// latencies returns those of all subscribers, in ascending order. Nothing may be
// under way.
func (l *load) latencies() []time.Duration {
	var all []time.Duration
	for _, s := range l.subscribers {
		all = append(all, s.latencies...)
	}
	slices.Sort(all)
	return all
}

// content is what the nth event says: an announce, of the size of a small offer.
func content(n int) string {
	return fmt.Sprintf(`{"peerId":"benchmarkpublisher","n":"%s%0*d","pad":"%s"}`, marker, digits, n, strings.Repeat("y", 150))
}
