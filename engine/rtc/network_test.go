package rtc_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/internal/bulk"
	"github.com/genosrtc/caddy-genosrtc/internal/shaped"
)

var seed = flag.Uint64("seed", 0, "TestNetworks: which packets are lost; 0: another one each time")

// 1 MiB from seat to seat over pion, on networks in memory that lose packets:
// everything arrives in order, and little waits in memory. The large matrix is
// in package engine; this one shows that pion behaves as is assumed there.
func TestNetworks(t *testing.T) {
	const size = 1 << 20
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	for _, loss := range []float64{0, 0.01, 0.05} {
		for _, rtt := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("loss %g %%, RTT %s", 100*loss, rtt), func(t *testing.T) {
				// One after the other: vnet numbers its cards without a lock.
				n, err := shaped.New(shaped.Path{RTT: rtt, Loss: loss, Seed: *seed})
				if err != nil {
					t.Fatal(err)
				}
				t.Parallel() // it is waiting that takes the time
				signaling := memnet.New()
				l, err := bulk.New(t.Context(),
					bulk.End{Signaling: signaling.Endpoint("from"), Transport: n.Ends[0]},
					bulk.End{Signaling: signaling.Endpoint("to"), Transport: n.Ends[1]})
				if err != nil {
					t.Fatal(err)
				}
				took, err := l.Carry(t.Context(), size)
				if err != nil {
					t.Error(err)
				}
				t.Logf("%.2f s, %.3f MB/s, %d KiB at most in the transport, %d KiB with the outbox",
					took.Seconds(), size/1e6/took.Seconds(), l.Peak()>>10, l.Most()>>10)
				if l.Peak() > 1<<20 {
					t.Errorf("%d bytes buffered", l.Peak())
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
