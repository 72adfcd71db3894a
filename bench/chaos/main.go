// Command chaos holds the promises of sessions against a real Caddy process
// that is killed, reloaded and cut off: see usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
)

const usage = `Holds what sessions promise against a real Caddy process, by the Go client.

  go run ./bench/chaos [flags] kills|chaos|bulk|away|slow

  kills  kill -9 of the server at random moments, while a sender and a receiver
         go on: nothing that was acknowledged is lost, nothing comes twice
  chaos  100 sessions, 20 of them with a peer of their own in the mesh, talk on 3
         channels and pass files, while sockets are cut, the server is reloaded
         every 10 s, and killed: 0 lost, 0 doubled, 0 out of order, ids unchanged
  bulk   a large file between two client processes, while sockets are cut, and the
         server and both clients are killed: equal hash, little sent twice
  away   a client that was away gets all in order; away for too long, it gets a
         new session, the reason, and the room's history
  slow   a client that does not read, while others do: what the others notice

Exits with 1 if a promise is not kept. The seed is printed; it repeats the choices,
not the timing. The server is ./build/caddy-chaos, which is built unless -caddy
names another.

`

// options are common to all.
type options struct {
	caddy string
	pages bool
	rng   *rand.Rand

	kills, sessions, deliveries, files, size, cuts, rate, rounds int
	length                                                       time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		exit(child(os.Args[2:]))
	}
	exit(run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	var o options
	seed := flag.Uint64("seed", rand.Uint64(), "of the random choices")
	flag.StringVar(&o.caddy, "caddy", "", "the Caddy binary")
	flag.BoolVar(&o.pages, "pages", false, "chaos: wait for browser pages, see integration/long/chaos.test.js")
	flag.IntVar(&o.kills, "kills", 0, "how often the server is killed (kills: 200, chaos: 10)")
	flag.IntVar(&o.sessions, "sessions", 100, "chaos, slow: how many sessions")
	flag.IntVar(&o.deliveries, "deliveries", 300_000, "chaos: of messages")
	flag.IntVar(&o.files, "files", 20, "chaos: how many transfers")
	flag.IntVar(&o.size, "mib", 0, "of a file (chaos: 20, bulk: 1024)")
	flag.IntVar(&o.cuts, "cuts", 20, "bulk: how often sockets are cut")
	flag.IntVar(&o.rate, "rate", 1000, "slow: messages a second that each of the others gets")
	flag.IntVar(&o.rounds, "rounds", 5, "slow: pairs of runs")
	flag.DurationVar(&o.length, "time", 0, "away: how long (90s); slow: of each run (30s)")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	shows := map[string]func(context.Context, options) error{"kills": kills, "chaos": chaos, "bulk": bulk, "away": away, "slow": slow}
	show := shows[flag.Arg(0)]
	if show == nil || flag.NArg() != 1 {
		flag.Usage()
		return errors.New("name one of them")
	}
	fmt.Println("seed:", *seed)
	o.rng = rand.New(rand.NewPCG(*seed, 0))
	if o.caddy == "" {
		o.caddy = filepath.Join("build", "caddy-chaos")
		if err := process.BuildCaddy(o.caddy); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return show(ctx, o)
}
