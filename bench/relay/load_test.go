package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTopic = signaling.RootTopic(engine.AppRoom(ownrelay.Database))

// serveTest runs a relay in this process.
func serveTest(t *testing.T, relay http.Handler) *running {
	server := httptest.NewServer(relay)
	t.Cleanup(server.Close)
	return &running{url: "ws" + strings.TrimPrefix(server.URL, "http") + ownrelay.Path, pid: os.Getpid()}
}

func signTest(t *testing.T, n int) []browser.Event {
	events, err := sign(testTopic, n, 2)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// The whole measurement, on both of our relays.
func TestMeasure(t *testing.T) {
	own, closeRelay := ownrelay.New(endless)
	defer closeRelay()
	s := sizes{warmup: 5, events: 20, sparse: 5, publishers: 2, subscribers: 3, window: 4}
	events := signTest(t, s.total())
	for name, relay := range map[string]http.Handler{"own": own, "bare": newBareRelay()} {
		values, err := measure(t.Context(), serveTest(t, relay), testTopic, s, events)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, m := range metrics {
			if x, ok := values[m.Name]; !ok || math.IsNaN(x) || x < 0 {
				t.Errorf("%s: %s is %v", name, m.Name, x)
			}
		}
		if ratio := values[deliveryRate] / values[fanOutRate]; math.Abs(ratio-3) > 1e-9 {
			t.Errorf("%s: %v deliveries an event", name, ratio)
		}
		if !(values[latencyP50] > 0) || values[latencyP99] < values[latencyP50] {
			t.Errorf("%s: latencies %v, %v", name, values[latencyP50], values[latencyP99])
		}
	}
}

// A relay that refuses an event ends the run, with its words.
func TestRefusalEndsTheRun(t *testing.T) {
	own, closeRelay := ownrelay.New(endless)
	defer closeRelay()
	events, err := sign(signaling.RootTopic("another room"), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoad(t.Context(), events)
	defer l.close()
	if err := l.connect(serveTest(t, own).url, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.publish(0, 1, 0); err == nil || !strings.Contains(err.Error(), "blocked:") {
		t.Errorf("error %v", err)
	}
}

// idle is a load that is connected to nothing, with one event under way to two
// subscribers.
func idle(t *testing.T) (*load, *publisher) {
	l := newLoad(t.Context(), signTest(t, 2))
	t.Cleanup(func() { l.fail(context.Canceled) })
	p := &publisher{window: make(chan struct{}, 1)}
	l.publishers = []*publisher{p}
	for range 2 {
		l.subscribers = append(l.subscribers, &subscriber{seen: make([]bool, 2)})
	}
	l.outstanding[0].Store(3)
	return l, p
}

func delivery(n int) []byte {
	return fmt.Appendf(nil, `["EVENT","s",{"content":%q}]`, content(n))
}

func TestAnEventIsOverWhenEverybodyHasIt(t *testing.T) {
	l, p := idle(t)
	ok := fmt.Appendf(nil, `["OK",%q,true,""]`, l.events[0].ID)
	for i, step := range []func() error{
		func() error { return l.deliver(l.subscribers[0], delivery(0)) },
		func() error { return l.answer(ok) },
		func() error { return l.deliver(l.subscribers[1], delivery(0)) },
	} {
		if len(p.window) != 0 {
			t.Fatalf("over before step %d", i)
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.window) != 1 {
		t.Error("not over")
	}
	if err := l.answer(ok); err == nil {
		t.Error("a second OK was accepted")
	}
}

func TestWrongDeliveriesAreErrors(t *testing.T) {
	l, _ := idle(t)
	if err := l.deliver(l.subscribers[0], delivery(0)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"a second time":   delivery(0),
		"beyond the last": delivery(2),
		"no marker":       []byte(`["EVENT","s",{}]`),
		"cut short":       []byte(`["EVENT","s",{"content":"@@0000`),
		"no number":       []byte(`["EVENT","s",{"content":"@@-0000001"}]`),
		"notice":          []byte(`["NOTICE","slow down"]`),
		"closed":          []byte(`["CLOSED","s","@@00000001"]`),
		"empty":           nil,
	} {
		if err := l.deliver(l.subscribers[0], text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, text := range []string{`["OK","` + l.events[0].ID + `",false,"rate-limited:"]`, `["OK","unknown",true,""]`, `["EOSE","s"]`} {
		if err := l.answer([]byte(text)); err == nil {
			t.Errorf("answer %s: accepted", text)
		}
	}
}

// Latency counts from when an event was due, for those of the sparse phase.
func TestLatencies(t *testing.T) {
	l, _ := idle(t)
	s := l.subscribers[0]
	l.outstanding[1].Store(3)
	l.timed.Store(1)
	l.sent[0].Store(time.Now().Add(-time.Hour).UnixNano())
	l.sent[1].Store(time.Now().Add(-time.Minute).UnixNano())
	for n := range 2 {
		if err := l.deliver(s, delivery(n)); err != nil {
			t.Fatal(err)
		}
	}
	all := l.latencies()
	if len(all) != 1 || all[0] < time.Minute || all[0] > time.Hour {
		t.Errorf("latencies %v", all)
	}
}
