package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
	"pgregory.net/rapid"
)

// playTest plays a small room on our relay, in this process.
func playTest(t *testing.T, limits relay.Limits, peers int, length time.Duration) (*room, relay.Stats) {
	h, closeRelay := ownrelay.New(limits)
	server := httptest.NewServer(h)
	t.Cleanup(func() { server.Close(); closeRelay() })
	s, err := newScript(peers, length)
	if err != nil {
		t.Fatal(err)
	}
	r, err := join(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+ownrelay.Path, s, 300)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.leave)
	r.start = time.Now()
	if err := r.play(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	stats, err := counters(t.Context(), strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return r, stats
}

func TestEverybodyHearsEverybody(t *testing.T) {
	r, stats := playTest(t, relay.Limits{}, 10, announceEvery/5)
	if n := r.delivered.Load(); n != r.expected() || n == 0 || r.firstTrouble() != nil {
		t.Errorf("%d of %d delivered, %v", n, r.expected(), r.firstTrouble())
	}
	if stats.Deliveries != uint64(r.expected()) || stats.Subscriptions != 40 {
		t.Errorf("%+v", stats)
	}
	if p99 := r.latencies.Quantile(0.99); p99 <= 0 || p99 > 10*time.Second {
		t.Errorf("latency %v", p99)
	}
}

// A relay that refuses announces is found out.
func TestMissingDeliveriesAreFoundOut(t *testing.T) {
	const peers = 4
	r, stats := playTest(t, relay.Limits{RatePerAddress: 1e-9, BurstPerAddress: 4*peers + 1}, peers, announceEvery)
	o := outcome{expected: r.expected(), delivered: r.delivered.Load(), trouble: r.firstTrouble(), stats: stats}
	if want := int64(peers); o.delivered != want {
		t.Errorf("%d delivered, want %d", o.delivered, want)
	}
	if err := o.lost(); err == nil || !strings.Contains(err.Error(), "rate-limited") || !strings.Contains(err.Error(), "28 of 32") {
		t.Errorf("error %v", err)
	}
}

func TestOutcome(t *testing.T) {
	o := outcome{announces: 100, expected: 1000, delivered: 1000, rate: 20, cpu: 0.5}
	if err := o.lost(); err != nil {
		t.Error(err)
	}
	v := o.values()
	if v["deliveries/s"] != 200 || v["relay's CPU us/delivery"] != 2500 {
		t.Errorf("%v", v)
	}
	o.delivered--
	if o.lost() == nil {
		t.Error("a missing delivery is no error")
	}
}

// Everybody announces both rooms together every 2.5 s, in each of them once at a
// time, from the first 2.5 s on.
func TestScript(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := rapid.IntRange(1, 4).Draw(t, "peers")
		ticks := rapid.IntRange(1, 3).Draw(t, "ticks")
		s, err := newScript(peers, time.Duration(ticks)*announceEvery)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.announces) != peers*ticks*2 {
			t.Fatalf("%d announces", len(s.announces))
		}
		last, ids := map[int]map[string]time.Duration{}, map[string]bool{}
		before := time.Duration(0)
		for _, a := range s.announces {
			if a.at < before || ids[a.event.ID] {
				t.Fatal("out of order, or signed twice")
			}
			before, ids[a.event.ID] = a.at, true
			if last[a.peer] == nil {
				last[a.peer] = map[string]time.Duration{}
			}
			if at, ok := last[a.peer][a.room]; ok && a.at-at != announceEvery || !ok && a.at >= announceEvery {
				t.Fatalf("peer %d announced at %v", a.peer, a.at)
			}
			last[a.peer][a.room] = a.at
		}
	})
}
