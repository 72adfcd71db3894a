package engine_test

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// A bulk transfer leaves small messages of another channel quick, and they
// leave it its rate: on a link of 20 Mbit/s and 50 ms there and back.
func TestBulkBesideSmallMessages(t *testing.T) {
	const d = 30 * time.Second
	measure := func(bulk, small bool) (rate float64, p99 time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			net := memnet.New()
			net.Path = &memnet.Path{Rate: 20e6, RTT: 50 * time.Millisecond}
			rate, p99 = newBulk(t, net).mix(t, d, bulk, small)
		})
		return rate, p99
	}
	alone, _ := measure(true, false)
	_, quiet := measure(false, true)
	rate, p99 := measure(true, true)
	t.Logf("small messages: p99 %s alone, %s beside the bulk: %.2f times", quiet, p99, p99.Seconds()/quiet.Seconds())
	t.Logf("bulk: %.3f MB/s alone, %.3f MB/s beside small messages: %.2f times", alone/1e6, rate/1e6, rate/alone)
	if p99 > 3*quiet {
		t.Errorf("p99 is %.2f times that without the bulk", p99.Seconds()/quiet.Seconds())
	}
	if rate < 0.85*alone {
		t.Errorf("the bulk keeps %.2f of its rate", rate/alone)
	}
	if alone < 0.85*20e6/8 {
		t.Errorf("the bulk alone has %.3f MB/s of the link's 2.5", alone/1e6)
	}
}

// mix sends for a time: messages of 128 KiB as fast as they go, and one of 100
// bytes every 10 ms. It returns the bulk's rate and the way's time of the small
// ones, 99 of 100 of them at most.
func (b *bulk) mix(t *testing.T, d time.Duration, bulk, small bool) (rate float64, p99 time.Duration) {
	var (
		wg    sync.WaitGroup
		start = time.Now()
		got   int
		took  []time.Duration
	)
	send := func(o engine.Outgoing) {
		o.To = []string{b.target}
		if err := b.from.Send(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() { // receive until the last message of all
		for {
			events, err := b.to.Next(t.Context(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range events {
				m, ok := e.(*engine.Message)
				switch {
				case !ok:
				case m.Channel == "end":
					return
				case m.Channel == "bulk":
					if time.Since(start) < d {
						got += len(m.Content.Data)
					}
				default:
					took = append(took, time.Since(start)-time.Duration(binary.BigEndian.Uint64(m.Content.Data)))
				}
			}
		}
	})
	if bulk {
		wg.Go(func() {
			data := make([]byte, perMessage)
			under := 0
			for time.Since(start) < d || under > 0 {
				for ; time.Since(start) < d && under < perLink/perMessage; under++ {
					send(engine.Outgoing{Channel: "bulk", Progress: true, Content: engine.Content{Kind: engine.Binary, Data: data}})
				}
				events, err := b.from.Next(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range events {
					switch e := e.(type) {
					case engine.Result:
						t.Error(e.Err)
						return
					case engine.Progress:
						if e.Fraction == 1 {
							under--
						}
					}
				}
			}
		})
	}
	if small {
		for time.Since(start) < d {
			data := binary.BigEndian.AppendUint64(nil, uint64(time.Since(start)))
			send(engine.Outgoing{Channel: "chat", Content: engine.Content{Kind: engine.Binary, Data: append(data, make([]byte, 92)...)}})
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(d + 10*time.Second - time.Since(start))
	send(engine.Outgoing{Channel: "end"})
	wg.Wait()
	if small {
		slices.Sort(took)
		p99 = took[len(took)*99/100]
	}
	return float64(got) / d.Seconds(), p99
}
