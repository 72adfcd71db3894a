// Command memory compares this server, as the memory of a room, with GenosDB's own
// fallback server: see usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

const usageText = `Measures a server as the durable memory of a room.

  go run ./bench/memory
        this server alone
  GENOSDB_DIST=<folder> go run ./bench/memory
        and GenosDB's fallback server (genossrv.min.js) beside it, which needs bun
        in PATH (npm install bun), and real GenosDB pages, which need Chromium and
        the packages of the integration tests (npm ci in integration); all that in
        a network namespace of its own

Start it from the project's folder. Both servers run in processes of their own,
with their own relays, alone with who is measured. In every round each of them is
measured in turn, with nodes of about 300 bytes in varied words:
  catch-up  a fresh page, and a fresh peer of this program, from the opening of
            the link until it has all nodes; frames' bytes. A server that does not
            bring one there within -patience is not asked again
  put       a peer changes one node, alone; safe is: for this server, its events
            tell of the change, which they do when it is on the disk; for GenosSRV,
            its files are written for the last time. CPU and bytes are those above
            what it uses when idle: bytes written to files (wchar of proc(5)), and
            pages dirtied (write_bytes), which a cache of large folios exaggerates
  HTTP put  until the answer, which comes when the node is on the disk
  puts      a peer changes many nodes, as fast as the link takes them, %d in a
            message: from the first until all are safe
Memory is the resident one before and after all puts, CPU that of the server's
process.

The table goes to standard output, progress to standard error. The servers' files
are in the folder for temporary ones (TMPDIR), which should be on a disk.

`

// database is the one whose rooms are used.
const database = "bench"

// The rows of the table.
const (
	singleSafe  = "put: safe after, ms"
	singleCPU   = "put: CPU ms"
	singleBytes = "put: kB written"
	singleDirty = "put: kB dirtied"
	singleHTTP  = "HTTP put, ms"
	burstRate   = "puts/s until safe"
	burstCPU    = "puts: CPU ms each"
	burstBytes  = "puts: kB written each"
	memoryRest  = "memory before, MiB"
	memoryNow   = "memory after, MiB"
	memoryPeak  = "memory at the peak, MiB"
)

func pageTime(size int) string  { return fmt.Sprintf("page, %d nodes: ms", size) }
func pageBytes(size int) string { return fmt.Sprintf("page, %d nodes: kB", size) }
func peerTime(size int) string  { return fmt.Sprintf("peer, %d nodes: ms", size) }
func peerBytes(size int) string { return fmt.Sprintf("peer, %d nodes: kB", size) }

func (b *bench) metrics() []rounds.Metric {
	var all []rounds.Metric
	for _, size := range b.sizes {
		if b.pages != nil {
			all = append(all, rounds.Metric{Name: pageTime(size)}, rounds.Metric{Name: pageBytes(size)})
		}
		all = append(all, rounds.Metric{Name: peerTime(size)}, rounds.Metric{Name: peerBytes(size)})
	}
	if b.size == 0 {
		return all
	}
	return append(all,
		rounds.Metric{Name: singleSafe, Decimals: 1}, rounds.Metric{Name: singleCPU, Decimals: 1}, rounds.Metric{Name: singleBytes, Decimals: 1}, rounds.Metric{Name: singleDirty, Decimals: 1},
		rounds.Metric{Name: singleHTTP, Decimals: 1},
		rounds.Metric{Name: burstRate}, rounds.Metric{Name: burstCPU, Decimals: 3}, rounds.Metric{Name: burstBytes, Decimals: 2},
		rounds.Metric{Name: memoryRest}, rounds.Metric{Name: memoryNow}, rounds.Metric{Name: memoryPeak})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	b := &bench{ip: "127.0.0.1", never: make(map[string]bool)}
	n := flag.Int("rounds", 3, "how often each server is measured")
	sizes := flag.String("catch-up", "1000,5000,20000,50000", "sizes of the graphs that are caught up with")
	flag.IntVar(&b.size, "size", 20_000, "size of the graph that is written to; 0: none is")
	flag.IntVar(&b.puts, "puts", 5, "single puts")
	flag.IntVar(&b.burst, "burst", 10_000, "puts that are sent as fast as the link takes them")
	flag.DurationVar(&b.patience, "patience", 2*time.Minute, "how long a page or a peer waits for all nodes")
	only := flag.String("only", "", "measure only the server with this `name`")
	caddy := flag.String("caddy", "", "the Caddy binary (default build/caddy-memory, which is built)")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), usageText, message)
		flag.PrintDefaults()
	}
	flag.Parse()
	for size := range strings.SplitSeq(*sizes, ",") {
		i, err := strconv.Atoi(size)
		if err != nil || i < 1 {
			return fmt.Errorf("-catch-up %q: sizes are positive numbers, separated by commas", *sizes)
		}
		b.sizes = append(b.sizes, i)
	}
	if flag.NArg() > 0 || min(*n, b.puts, b.burst) < 1 || b.size > 0 && b.size < b.burst+2*b.puts {
		return errors.New("all numbers must be positive, the graph larger than what is put, and there are no arguments: see -h")
	}
	if *caddy == "" {
		*caddy = filepath.Join("build", "caddy-memory")
		if !isolated() {
			if err := process.BuildCaddy(*caddy); err != nil {
				return err
			}
		}
	}
	if *caddy, err = filepath.Abs(*caddy); err != nil {
		return err
	}
	dist := os.Getenv("GENOSDB_DIST")
	if dist != "" && !isolated() {
		return isolate()
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if b.folder, err = os.MkdirTemp("", "bench-memory-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.folder)
	var all []contestant
	if dist != "" {
		b.ip = address
		if b.pages, err = openPages(ctx); err != nil {
			return err
		}
		defer b.pages.close()
		other, err := genosSRV(dist)
		if err != nil {
			return err
		}
		all = append(all, other)
	}
	all = append([]contestant{ours(*caddy, b.ip)}, all...)
	byName := map[string]contestant{}
	var names []string
	for _, c := range all {
		if *only == "" || *only == c.name {
			byName[c.name], names = c, append(names, c.name)
		}
	}
	results, err := rounds.Run(*n, names, os.Stderr, func(round int, name string) (rounds.Values, error) {
		return b.measure(ctx, byName[name], round)
	})
	if err != nil {
		return err
	}
	if b.size > 0 {
		fmt.Printf("puts at %d nodes: %d alone, %d in a go\n\n", b.size, b.puts, b.burst)
	}
	return results.Print(os.Stdout, b.metrics())
}
