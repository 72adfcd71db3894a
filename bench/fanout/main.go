// Command fanout compares how fast one message reaches everybody in a room with
// what others need for it: see usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

const usage = `Measures one sender to many receivers on real WebSockets.

  go run ./bench/fanout
  go run ./bench/fanout -only ours,hub -rounds 3

ours        the whole server: one session sends to a room of others
ours acked  the same, and the receivers acknowledge as docs/gateway.md wants it
nats        nats-server with its WebSocket listener: one subject (a module of its
            own, in bench/fanout/nats, which is built first)
hub         a bare hub: frames a message once, and writes all that waits for a
            connection at once. No names, acknowledgements, journal, limits or
            pings: nothing to use, only to compare with

Each is started afresh in every round, in a process of its own; all clients are
in this one, which counts deliveries by a mark in each message and does not
decode them. Two phases:
  burst   -messages one after the other, -window of them under way
  sparse  -rate messages a second for -time; nothing can be put together
Latency is from before a message is written to the reading of each delivery. A
message that does not reach everybody within 30 s ends the run.

CPU and memory are those of the server's process alone. The table goes to
standard output, progress to standard error.

`

// load is what is put on each server.
type load struct {
	receivers, size, messages, window, rate int
	sparse                                  time.Duration
	profile                                 string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fanout:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		return serve(os.Args[2], os.Args[3])
	}
	var l load
	n := flag.Int("rounds", 5, "how often each is measured")
	flag.IntVar(&l.receivers, "receivers", 1000, "receivers")
	flag.IntVar(&l.size, "size", 100, "bytes in a message")
	flag.IntVar(&l.messages, "messages", 4000, "messages of the burst")
	flag.IntVar(&l.window, "window", 32, "messages of the burst under way")
	flag.IntVar(&l.rate, "rate", 10, "messages a second of the sparse phase")
	flag.DurationVar(&l.sparse, "time", 5*time.Second, "duration of the sparse phase")
	flag.StringVar(&l.profile, "profile", "", "`prefix` of files for CPU profiles of our server, of each phase")
	only := flag.String("only", strings.Join(names, ","), "what is measured, the first compared with each of the others")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || min(*n, l.receivers, l.messages, l.window, l.rate) < 1 || l.size < markSize {
		return fmt.Errorf("all numbers must be positive, a message has %d bytes at least, and there are no arguments: see -h", markSize)
	}
	chosen := strings.Split(*only, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%q is none of %s", name, strings.Join(names, ", "))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	all, clean, err := contestants(ctx, slices.Contains(chosen, "nats"))
	if err != nil {
		return err
	}
	defer clean()
	results, err := rounds.Run(*n, chosen, os.Stderr, func(_ int, name string) (rounds.Values, error) {
		v, err := measure(ctx, all[name], l)
		if err == nil {
			fmt.Fprintln(os.Stderr, "  ", v)
		}
		return v, errors.Join(err, ctx.Err())
	})
	if err != nil {
		return err
	}
	fmt.Printf("1 sender, %d receivers, messages of %d bytes\n\n", l.receivers, l.size)
	return results.Print(os.Stdout, metrics)
}
