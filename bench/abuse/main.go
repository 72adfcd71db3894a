// Command abuse attacks this project's embedded relay, and measures what honest
// peers notice: see usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

const usage = `Attacks this project's embedded relay, and measures what honest peers notice.

  go run ./bench/abuse

Each round has a quiet phase and one under attack, in turn first, each with a
relay of its own, in a process of its own and with its default limits. In both,
honest peers on addresses of their own announce themselves as browsers do, and
one of them every 0.1 s besides; everybody hears everybody. Latency is from when
something was due to each delivery.

Under attack, every attacking address (127.0.0.2 and so on; on systems other than
Linux they have to be added first) does all of this at once, at full rate, and
connects again whenever it is cut off:
  - sends events with bad signatures, on 4 connections
  - sends a forged copy of each real event a second before it (from 127.0.1.2 and
    so on, as the rates of the others are used up)
  - opens its share of 10,000 subscriptions, for everything, and asks for more
  - subscribes and never reads
  - sends binary messages, and messages of a megabyte
The attackers run in a process of their own at nice 19, as they stand for other
machines: what they compute must not take this machine's time from the relay.

Goals: no delivery lost, nor made twice or early; a 99th percentile under attack
that is less than 5 times the quiet one, in the median of the rounds; every kind
of refusal shows in a counter of the relay ("relay:"), which is not less than how
often the attackers were told so ("told:"). Exits with 1 if one is missed.

The table goes to standard output, progress to standard error.

`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "abuse:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		return ownrelay.Serve(os.Args[2], relay.Limits{})
	}
	if len(os.Args) == 3 && os.Args[1] == "attack" {
		return attack(os.Args[2])
	}
	var s size
	n := flag.Int("rounds", 3, "how often both phases are played")
	flag.IntVar(&s.peers, "peers", 20, "honest peers")
	flag.IntVar(&s.addresses, "addresses", 5, "addresses that attack")
	flag.DurationVar(&s.length, "time", 20*time.Second, "how long each phase is measured; slow readers are cut off after 10 s")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || min(*n, s.peers, s.addresses) < 1 || s.addresses > 250 || s.length < announceEvery {
		return fmt.Errorf("all numbers must be positive, the addresses at most 250, the time at least %v, and there are no arguments: see -h", announceEvery)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var all []rounds.Values
	var goals []string
	results, err := rounds.Run(*n, []string{attacked, quiet}, os.Stderr, func(_ int, phase string) (rounds.Values, error) {
		values, err := measure(ctx, phase, s)
		all = append(all, values)
		goals = append(goals, missed(phase, values)...)
		return values, err
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d honest peers; %d addresses attack, from one process at nice 19, as they stand for other machines\n\n", s.peers, s.addresses)
	if err := results.Print(os.Stdout, rows(all)); err != nil {
		return err
	}
	p99 := func(phase string) rounds.Series { return results.Series(phase, latencyP99) }
	goals = append(goals, tooSlow(p99(attacked).Ratios(p99(quiet)))...)
	fmt.Println()
	for _, goal := range goals {
		fmt.Println("missed:", goal)
	}
	if len(goals) > 0 {
		return fmt.Errorf("%d goals missed", len(goals))
	}
	fmt.Println("all goals met")
	return nil
}
