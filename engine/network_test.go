package engine_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

var (
	networks = flag.Bool("networks", false, "TestNetworks: all networks and 16 MiB, instead of a few and 2 MiB")
	seed     = flag.Uint64("seed", 0, "what befalls the packets; 0: another one each time")
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
		network{"20 Mbit/s, RTT 50 ms, dark for 30 s", memnet.Path{RTT: rtt, Rate: 20e6, BlackoutAfter: 63 * time.Second, Blackout: 30 * time.Second}},
		network{"all of it, 2 Mbit/s, RTT 200 ms", memnet.Path{RTT: 4 * rtt, Rate: 2e6, Loss: 0.02, Reorder: 0.02, Duplicate: 0.02}},
	)
}

const (
	// perMessage is what one message carries, and perLink what a sender has
	// under way that was not acknowledged: in the outbox and in the transport.
	perMessage = 128 << 10
	perLink    = 1 << 20
)

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
	fmt.Fprintf(table, "network, %d MiB\ttime\tgoodput\tpeak in the transport\tin all\t\n", size>>20)
	for _, n := range list {
		t.Run(n.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := memnet.New()
				net.Path, net.Seed = &n.Path, *seed
				b := newBulk(t, net)
				took := b.carry(t, size)
				fmt.Fprintf(table, "%s\t%.1f s\t%.3f MB/s\t%d KiB\t%d KiB\t\n", n.name,
					took.Seconds(), float64(size)/1e6/took.Seconds(), b.peak.Load()>>10, b.most>>10)
				if b.peak.Load() > 1<<20 || b.most > 1<<20 {
					t.Errorf("%d bytes buffered, %d in all", b.peak.Load(), b.most)
				}
			})
		})
	}
	table.Flush()
	io.WriteString(os.Stdout, out.String())
}

// What a link took but the other end did not acknowledge is no progress, and is
// reported when the link ends.
func TestUnderWayIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		net.Path = &memnet.Path{RTT: 2 * time.Second}
		b := newBulk(t, net)
		send := func(ref uint64) {
			if err := b.from.Send(t.Context(), engine.Outgoing{
				Ref: ref, Channel: "chat", To: []string{b.target}, Progress: true, Content: text("hello"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		send(1)
		time.Sleep(3 * time.Second)
		send(2)
		send(3)
		time.Sleep(time.Second)
		b.ends[0].Cut()
		time.Sleep(time.Second)
		events, err := b.from.Next(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		events = slices.DeleteFunc(events, func(e engine.Event) bool { _, other := e.(engine.PeerEvent); return other })
		want := []engine.Event{
			engine.Progress{Ref: 1, Peer: b.target, Fraction: 1},
			engine.Result{Ref: 2, Peer: b.target, Err: engine.ErrPeerGone},
			engine.Result{Ref: 3, Peer: b.target, Err: engine.ErrPeerGone},
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
		if took := newBulk(t, net).carry(t, 256<<10); took < 90*time.Second {
			t.Errorf("that took only %s", took)
		}
	})
}

// bulk is two servers, and a seat at each, linked.
type bulk struct {
	from, to *engine.Attachment
	target   string             // the peer that the receiver is heard by
	ends     []*memnet.Endpoint // of both
	peak     atomic.Int64
	most     int
}

func newBulk(t *testing.T, net *memnet.Network) *bulk {
	b := new(bulk)
	open := func(name string) *engine.Room {
		e := net.Endpoint(name)
		b.ends = append(b.ends, e)
		n := engine.New(engine.Config{Signaling: e, Transport: watched{e, &b.peak}, Clock: net.Clock, Logger: slog.New(slog.DiscardHandler)})
		r, err := n.Open(engine.RoomConfig{Name: "demo", Identity: engine.IdentityServer})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return r
	}
	sit := func(r *engine.Room) (*engine.Attachment, []engine.Peer) {
		s, peers, err := r.Join(t.Context(), engine.SeatConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return s, peers
	}
	there, here := open("there"), open("here")
	var peers []engine.Peer
	b.to, peers = sit(there)
	b.target = peers[0].ID // its server
	time.Sleep(time.Minute)
	// A link that is up: whoever sits down now is told of it.
	b.from, peers = sit(here)
	if !slices.ContainsFunc(peers, func(p engine.Peer) bool { return p.ID == b.target }) {
		t.Fatalf("not linked after a minute: %v", peers)
	}
	return b
}

// carry sends so many bytes, as messages that follow each other as soon as
// there is room, and returns the time until the last one was acknowledged.
func (b *bulk) carry(t *testing.T, size int) time.Duration {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size >> 20)}).Read(data)
	received := make(chan []byte, 1)
	go func() { received <- b.receive(t, size) }()

	start := time.Now()
	var (
		messages  = size / perMessage
		sent      int
		arrived   int     // messages
		all, last float64 // messages, with the part of the one that is under way
	)
	for arrived < messages {
		for ; sent < messages && sent*perMessage+perMessage-int(all*perMessage) <= perLink; sent++ {
			b.most = max(b.most, sent*perMessage+perMessage-int(all*perMessage))
			if err := b.from.Send(t.Context(), engine.Outgoing{
				Ref: uint64(sent), Channel: "bulk", To: []string{b.target}, Progress: true,
				Content: engine.Content{Kind: engine.Binary, Data: data[sent*perMessage:][:perMessage]},
			}); err != nil {
				t.Fatal(err)
			}
		}
		events, err := b.from.Next(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			switch e := e.(type) {
			case engine.Result:
				t.Fatalf("after %s: message %d did not reach %s: %v", time.Since(start), e.Ref, e.Peer, e.Err)
			case engine.Progress:
				if e.Ref != uint64(arrived) {
					t.Fatalf("progress of message %d in %d", e.Ref, arrived)
				}
				if all = float64(arrived) + e.Fraction; all <= last {
					t.Fatalf("progress from %v to %v of %d", last, all, messages)
				}
				if last = all; e.Fraction == 1 {
					arrived++
				}
			}
		}
	}
	took := time.Since(start)
	if all/float64(messages) != 1 {
		t.Errorf("progress ended at %v", all/float64(messages))
	}
	if !bytes.Equal(<-received, data) {
		t.Error("something else arrived")
	}
	return took
}

func (b *bulk) receive(t *testing.T, size int) []byte {
	data := make([]byte, 0, size)
	for len(data) < size {
		events, err := b.to.Next(t.Context(), nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		for _, e := range events {
			if e, ok := e.(*engine.Message); ok {
				data = append(data, e.Content.Data...)
			}
		}
	}
	return data
}

// watched notes the most that a link's transport held.
type watched struct {
	engine.Transport
	peak *atomic.Int64
}

type watchedLink struct {
	engine.Link
	peak *atomic.Int64
}

func (w watched) Answer(ctx context.Context, offer string, h engine.LinkHandler) (engine.Link, string, error) {
	l, sdp, err := w.Transport.Answer(ctx, offer, h)
	if err != nil {
		return nil, "", err
	}
	return watchedLink{l, w.peak}, sdp, nil
}

func (w watched) Offer(ctx context.Context, h engine.LinkHandler) (engine.Link, string, error) {
	l, sdp, err := w.Transport.Offer(ctx, h)
	if err != nil {
		return nil, "", err
	}
	return watchedLink{l, w.peak}, sdp, nil
}

func (w watchedLink) Send(b []byte) error {
	err := w.Link.Send(b)
	for held := int64(w.Buffered()); ; {
		peak := w.peak.Load()
		if held <= peak || w.peak.CompareAndSwap(peak, held) {
			return err
		}
	}
}
