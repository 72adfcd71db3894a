// Command relay compares this project's embedded relay with another Nostr relay,
// under the same events, in one run: see usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

const usage = `Compares this project's embedded Nostr relay with another one.

  go run ./bench/relay
        with a bare relay of this harness: topic match, signature check, one
        write for each delivery
  GENOSDB_DIST=<folder> go run ./bench/relay
        with GenosDB's own relay (genossrv.min.js), which needs bun in PATH
        (npm install bun); it dials the relays of its list, so run this without
        a network: unshare -rn sh -c 'ip link set lo up && go run ./bench/relay'
  go run ./bench/relay -against 'relay --port {PORT}' -url ws://127.0.0.1:{PORT}/
        with any other; {PORT} becomes a free one, which is also in $PORT;
        without -against the relay is running already
  go run -tags libsecp256k1 ./bench/relay
        with signatures checked by libsecp256k1, as in a server built with that
        tag (it needs cgo, and Debian's libsecp256k1-dev); the bare relay too

Both relays run in processes of their own, and get the same events, which are
signed beforehand: ours at its real HTTP endpoint, with the rate limits raised,
as a few publishers here send what a thousand would. In every round each relay
is started afresh and measured, in turn:
  ingest    verified events without a subscriber, from the first to the last OK
  fan-out   the same with subscribers: an event counts when all of them have it
  latency   of sparse events (20/s), from when they are due to each delivery
An event that is refused, lost or delivered twice ends the run.

CPU is that of the relay's process alone (use exec in scripts). The table goes
to standard output, progress to standard error.

`

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		return serve(os.Args[2], os.Args[3])
	}
	s := sizes{sparse: 100}
	n := flag.Int("rounds", 5, "how often each relay is measured")
	flag.IntVar(&s.events, "events", 1500, "events in each phase")
	flag.IntVar(&s.warmup, "warmup", 200, "events before each phase")
	flag.IntVar(&s.subscribers, "subs", 100, "subscribers in the second and third phase")
	flag.IntVar(&s.publishers, "pubs", 4, "publishers")
	flag.IntVar(&s.window, "window", 64, "events under way, of all publishers together")
	settle := flag.Duration("settle", 3*time.Second, "how long each relay is left alone after it accepted a connection")
	against := flag.String("against", "", "`command` that runs the other relay")
	url := flag.String("url", "", "WebSocket `URL` of the other relay")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || min(*n, s.events, s.subscribers, s.publishers, s.window) < 1 || s.warmup < 0 {
		return fmt.Errorf("all numbers must be positive, and there are no arguments: see -h")
	}

	own, err := ours("this relay", "own")
	if err != nil {
		return err
	}
	other, err := opponent(*against, *url, os.Getenv("GENOSDB_DIST"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	topic := signaling.RootTopic(engine.AppRoom(ownrelay.Database))
	contestants := map[string]contestant{own.name: own, other.name: other}
	signed := -1
	var events []browser.Event
	results, err := rounds.Run(*n, []string{own.name, other.name}, os.Stderr, func(round int, name string) (rounds.Values, error) {
		if round != signed {
			if events, err = sign(topic, s.total(), s.publishers); err != nil {
				return nil, err
			}
			signed = round
		}
		relay, err := contestants[name].start(ctx, *settle)
		if err != nil {
			return nil, err
		}
		defer relay.stop()
		return measure(ctx, relay, topic, s, events)
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d events a phase, %d publishers, %d subscribers, signatures by %s\n\n", s.events, s.publishers, s.subscribers, signatures)
	return results.Print(os.Stdout, metrics)
}

// serve is the child: a relay on an address, until it is stopped.
func serve(role, address string) error {
	if role == "bare" {
		return http.ListenAndServe(address, newBareRelay())
	}
	return ownrelay.Serve(address, endless)
}

// endless are limits that a few publishers at full speed do not reach.
var endless = relay.Limits{Rate: 1e12, Burst: 1e12, RatePerAddress: 1e12, BurstPerAddress: 1e12}
