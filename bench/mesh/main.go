// Command mesh plays a large room whose peers form cells, each with an engine of its
// own: see usage.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const usage = `Plays a room with cells. Every peer is an engine.Node with one room, of
which the server's peer is the peer; the links are engine/memnet's.

  go run ./bench/mesh -peers 10000 -cell 10 -churn 10%%/min -loss 5%% -svg mesh.svg

All peers come in the first seconds. From -settle on, peers leave and others come, half
of those that leave without a word, and every second one says something to all. What
reaches whom, by how many hops and how often, is read from the frames. At last one more
peer comes into the calm room, which shows how long a seal takes.

Time is virtual, that of testing/synctest: it passes only when every goroutine waits
for it, so that a slow machine changes no result. Presence comes in batches, every
-census: announces among 10,000 peers every 2.5 s would be 40 million deliveries a
second, which no relay carries.

The table goes to standard output, progress to standard error.

`

// config is what is played.
type config struct {
	peers, cell  int
	churn        float64 // part of the peers that leave, and that come, in a minute
	loss         float64
	delay        time.Duration // one way
	census       time.Duration
	settle, play time.Duration
	seed         uint64
}

func main() {
	var c config
	flag.IntVar(&c.peers, "peers", 10_000, "peers in the room")
	flag.IntVar(&c.cell, "cell", 10, "peers that a cell is to have")
	churn := flag.String("churn", "10%/min", "part of the peers that leave, and that come, in a minute")
	loss := flag.String("loss", "5%", "part of the frames that have to be sent again")
	flag.DurationVar(&c.delay, "delay", 50*time.Millisecond, "of a frame, one way")
	flag.DurationVar(&c.census, "census", 5*time.Second, "how often presence is told")
	flag.DurationVar(&c.settle, "settle", 25*time.Second, "before anybody leaves")
	flag.DurationVar(&c.play, "time", time.Minute, "of churn and messages")
	flag.Uint64Var(&c.seed, "seed", 1, "of what happens to whom")
	memory := flag.Int64("memory", 2_500, "MiB that the collector keeps to")
	picture := flag.String("svg", "", "file for a picture of the topology")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	if c.churn, err = part(strings.TrimSuffix(*churn, "/min")); err == nil {
		c.loss, err = part(*loss)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mesh:", err)
		os.Exit(2)
	}
	debug.SetMemoryLimit(*memory << 20)
	// synctest is for tests: so this is one.
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "mesh", F: func(t *testing.T) {
		began := realTime()
		var r *result
		synctest.Test(t, func(t *testing.T) { r = c.run(t, os.Stderr) })
		r.print(os.Stdout, os.Stderr, realTime()-began)
		if *picture != "" {
			if err := os.WriteFile(*picture, r.draw(), 0o644); err != nil {
				t.Error(err)
			}
		}
	}}}, nil, nil)
}

// part reads "5%".
func part(s string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !strings.HasSuffix(s, "%") || n < 0 || n > 100 {
		return 0, fmt.Errorf("%q is no percentage", s)
	}
	return n / 100, nil
}

// realTime is the machine's, in a bubble too.
func realTime() time.Duration {
	var t syscall.Timeval
	if syscall.Gettimeofday(&t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
