package engine_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/internal/bulk"
)

var (
	networks = flag.Bool("networks", false, "TestNetworks: all networks and 16 MiB, instead of a few and 2 MiB")
	seed     = flag.Uint64("seed", 0, "TestNetworks: what befalls the packets; 0: another one each time")
)

// network is a cell of the matrix.
type network struct {
	name string
	memnet.Path
}

// allNetworks are every loss with every round-trip time, at 100 Mbit/s, and
// what else paths do.
func allNetworks() []network {
	var list []network
	for _, loss := range []float64{0, 0.01, 0.05, 0.2} {
		for _, rtt := range []time.Duration{0, 50, 200, 600} {
			list = append(list, network{fmt.Sprintf("loss %g %%, RTT %d ms", loss*100, rtt), memnet.Path{Loss: loss, RTT: rtt * time.Millisecond}})
		}
	}
	const rtt = 50 * time.Millisecond
	return append(list,
		network{"reordering 5 %, RTT 50 ms", memnet.Path{RTT: rtt, Reorder: 0.05}},
		network{"duplication 5 %, RTT 50 ms", memnet.Path{RTT: rtt, Duplicate: 0.05}},
		network{"256 kbit/s, RTT 50 ms", memnet.Path{RTT: rtt, Rate: 256e3}},
		network{"20 Mbit/s, RTT 50 ms, dark for 30 s", memnet.Path{RTT: rtt, Rate: 20e6, BlackoutAfter: 3 * time.Second, Blackout: 30 * time.Second}},
		network{"all of it, 2 Mbit/s, RTT 200 ms", memnet.Path{RTT: 4 * rtt, Rate: 2e6, Loss: 0.02, Reorder: 0.02, Duplicate: 0.02}},
	)
}

// Whatever the network does, a link carries everything, in order; progress
// grows, and ends at exactly 1; and little waits in memory.
//
//	go test ./engine -run TestNetworks -networks -v
//
// prints the whole matrix.
func TestNetworks(t *testing.T) {
	list, size := allNetworks(), 16<<20
	if !*networks {
		size = 2 << 20
		list = []network{list[0], list[5], list[10], list[13], list[16], list[17], list[18], list[20]}
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "network, %d MiB\ttime\tgoodput\tpeak in the transport\twith the outbox\t\n", size>>20)
	for _, n := range list {
		t.Run(n.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memnet.New()
				net.Path, net.Seed = &n.Path, *seed
				l, _ := linked(t, net)
				took, err := l.Carry(t.Context(), size)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(table, "%s\t%.1f s\t%.3f MB/s\t%d KiB\t%d KiB\t\n", n.name,
					took.Seconds(), float64(size)/1e6/took.Seconds(), l.Peak()>>10, l.Most()>>10)
				if l.Peak() > 1<<20 || l.Most() > 1<<20 {
					t.Errorf("%d bytes buffered in the transport, %d with the outbox", l.Peak(), l.Most())
				}
			})
		})
	}
	table.Flush()
	if testing.Verbose() {
		io.WriteString(os.Stdout, out.String())
	}
}

// linked links two engines over a network, and returns the sender's end of it.
func linked(t *testing.T, net *memnet.Network) (*bulk.Link, *memnet.Endpoint) {
	t.Helper()
	from, to := net.Endpoint("from"), net.Endpoint("to")
	l, err := bulk.New(t.Context(), bulk.End{Signaling: from, Transport: from}, bulk.End{Signaling: to, Transport: to})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, from
}

// What a link took but the other end did not acknowledge is no progress, and is
// reported when the link ends.
func TestUnderWayIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Path = &memnet.Path{RTT: 2 * time.Second}
		l, from := linked(t, net)
		send := func(ref uint64) {
			if err := l.From.Send(t.Context(), engine.Outgoing{
				Ref: ref, Channel: "chat", To: []string{l.Target}, Progress: true, Content: text("hello"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		send(1)
		time.Sleep(3 * time.Second)
		send(2)
		send(3)
		time.Sleep(500 * time.Millisecond)
		from.Cut()
		time.Sleep(time.Second)
		events, err := l.From.Next(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		events = slices.DeleteFunc(events, func(e engine.Event) bool { _, other := e.(engine.PeerEvent); return other })
		want := []engine.Event{
			engine.Progress{Ref: 1, Peer: l.Target, Fraction: 1},
			engine.Result{Ref: 2, Peer: l.Target, Err: engine.ErrPeerGone},
			engine.Result{Ref: 3, Peer: l.Target, Err: engine.ErrPeerGone},
		}
		if fmt.Sprint(events) != fmt.Sprint(want) {
			t.Errorf("told %v, want %v", events, want)
		}
	})
}

// A link so slow that the watchdog's ping waits behind other messages for longer
// than its answer may take is not dead while these arrive.
func TestSlowIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Path = &memnet.Path{RTT: 50 * time.Millisecond, Rate: 20_000}
		l, _ := linked(t, net)
		took, err := l.Carry(t.Context(), 256<<10)
		if err != nil || took < 90*time.Second {
			t.Errorf("took %s: %v", took, err)
		}
	})
}

// A bulk transfer leaves small messages of another channel quick, and they
// leave it its rate: on a link of 20 Mbit/s and 50 ms there and back.
func TestBulkBesideSmallMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Path = &memnet.Path{Rate: 20e6, RTT: 50 * time.Millisecond}
		measure := func(bulk, small bool) bulk.Mixed {
			l, _ := linked(t, net)
			m, err := l.Mix(t.Context(), 30*time.Second, bulk, small)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			return m
		}
		alone, quiet, both := measure(true, false), measure(false, true), measure(true, true)
		later, kept := both.P99.Seconds()/quiet.P99.Seconds(), both.Rate/alone.Rate
		t.Logf("small messages: p99 %s alone, %s beside the bulk: %.2f times", quiet.P99, both.P99, later)
		t.Logf("bulk: %.3f MB/s alone, %.3f MB/s beside small messages: %.2f of it", alone.Rate/1e6, both.Rate/1e6, kept)
		if later > 3 || kept < 0.85 || alone.Rate < 0.85*20e6/8 {
			t.Error("want at most 3 times, at least 0.85 of it, and alone 0.85 of the link")
		}
	})
}
