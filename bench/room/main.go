// Command room plays a room of announcing peers on this project's embedded
// relay, and finds the largest one that a core carries: see usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

const usage = `Plays a room of peers that announce themselves, as GenosDB's browsers do, on
this project's embedded relay, which runs in a process of its own.

  go run ./bench/room
  go run ./bench/room -peers 100 -rounds 1 -largest=false

Every peer is a WebSocket: it subscribes to the four topics of a browser and
announces itself in the app room and the sync room every 2.5 s, from a moment
of its own on, in frames that are signed beforehand with its own key. Everybody
hears everybody, so N peers make 0.8 N^2 deliveries a second.

First, each round plays the room of -peers: all deliveries must be made, each
once; latency is from when an announce was due to each delivery. Then rooms of
growing size are played on a relay that has one core (GOMAXPROCS=1), to find the
largest one in which no delivery is missing and the latency's 99th percentile is
under 1 s; a room that fails is tried a second time.

The relay's limits are its defaults. They are meant for one address that speaks
for 600 peers at most, so the peers come from several loopback addresses (which
on systems other than Linux have to be added first).

The table goes to standard output, progress to standard error.

`

// bearable is the latency, at the 99th percentile, of a room that is carried.
const bearable = time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "room:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		return ownrelay.Serve(os.Args[2], relay.Limits{})
	}
	n := flag.Int("rounds", 5, "how often the room is played")
	peers := flag.Int("peers", 300, "its peers")
	length := flag.Duration("time", 20*time.Second, "how long the peers announce themselves")
	perAddress := flag.Int("per-address", 300, "peers that share a loopback address")
	search := flag.Bool("largest", true, "find the largest room that one core carries")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || min(*n, *peers, *perAddress) < 1 || *length < announceEvery {
		return fmt.Errorf("all numbers must be positive, the time at least %v, and there are no arguments: see -h", announceEvery)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	name := fmt.Sprintf("%d peers", *peers)
	results, err := rounds.Run(*n, []string{name}, os.Stderr, func(int, string) (rounds.Values, error) {
		o, err := measure(ctx, *peers, *perAddress, 0, *length)
		if err == nil {
			err = o.lost()
		}
		return o.values(), err
	})
	if err != nil {
		return err
	}
	if err := results.Print(os.Stdout, metrics); err != nil || !*search {
		return err
	}
	return printLargest(ctx, *peers, *perAddress, *length)
}

// printLargest searches, and prints every room that it tried.
func printLargest(ctx context.Context, guess, perAddress int, length time.Duration) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "\none core, peers\tdeliveries/s\tmissing\tp50 ms\tp99 ms\trelay's CPU, cores\tMiB at the peak\tdriver's CPU, cores")
	try := func(peers int) (bool, error) {
		fmt.Fprintf(os.Stderr, "one core: %d peers\n", peers)
		o, err := measure(ctx, peers, perAddress, 1, length)
		if err != nil {
			return false, err
		}
		fmt.Fprintf(t, "%d\t%.0f\t%d\t%.1f\t%.1f\t%.2f\t%.0f\t%.2f\n", peers, o.rate*float64(peers), o.expected-o.delivered,
			milliseconds(o.p50), milliseconds(o.p99), o.cpu, o.peakMemory, o.driverCPU)
		if lost := o.lost(); lost != nil {
			fmt.Fprintln(os.Stderr, lost)
			return false, nil
		}
		return o.p99 < bearable, nil
	}
	found, err := largest(guess, func(peers int) (bool, error) {
		ok, err := try(peers)
		if err == nil && !ok {
			ok, err = try(peers) // the machine may have been busy
		}
		return ok, err
	})
	if flushed := t.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return err
	}
	fmt.Printf("\nthe largest room that one core carries, to 5 %%: %d peers\n", found)
	return nil
}
