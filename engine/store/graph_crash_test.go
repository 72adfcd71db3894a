package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// graphHelperPath is the variable that makes main_test.go a helper process that
// writes a graph: its file. graphHelperWay is how: steady or bursts.
const (
	graphHelperPath = "GENOSRTC_GRAPH_HELPER"
	graphHelperWay  = "GENOSRTC_GRAPH_WAY"
)

const graphIDs = 5000

// operation is number n of those that the helper does: its number is its time, so
// that the clock names it.
func operation(n int64) graph.Entry {
	e := node(nodeID(int(n*7919%graphIDs)), 200, n)
	e.Timestamp = graph.Timestamp{Physical: n}
	if n%10 == 3 {
		e.Removed, e.Value = true, nil
	}
	return e
}

// graphHelper does operations and prints each when it is staged and when it was
// acknowledged.
func graphHelper(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	g, err := OpenGraph(path, quiet)
	fail(err)
	n := int64(0) // the last that is there
	fail(g.Scan("", func(e graph.Entry) bool {
		n = max(n, e.Timestamp.Physical)
		return true
	}))
	fmt.Println("open", n)
	type op struct {
		n   int64
		seq uint64
	}
	staged := make(chan op, 100_000)
	go func() {
		for op := range staged {
			fail(g.Wait(context.Background(), op.seq))
			fmt.Println("acked", op.n)
		}
	}()
	go func() {
		for ; ; time.Sleep(2 * time.Millisecond) {
			fmt.Println("alive", time.Now().UnixMicro())
		}
	}()
	for {
		burst, pause := 1, time.Duration(rand.IntN(5))*time.Millisecond
		if os.Getenv(graphHelperWay) == "bursts" {
			burst, pause = rand.IntN(500), time.Duration(rand.IntN(100))*time.Millisecond
		}
		for range burst {
			n++
			e := operation(n)
			fail(g.Set(e))
			g.SetLast(e.Timestamp)
			fmt.Println("staged", n, time.Now().UnixMicro())
			staged <- op{n, g.Staged()}
		}
		time.Sleep(pause)
	}
}

// TestGraphKilled kills a process that writes a graph, with -9 at random moments,
// over and over: what was acknowledged is there, so is what was staged 100 ms before
// its last sign of life (in CI, where a disk may take longer: 2 s), and what the clock
// names.
func TestGraphKilled(t *testing.T) {
	times, safe := 6, 2*time.Second
	if s := os.Getenv(crashes); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		safe = 100 * time.Millisecond
	}
	for _, way := range []string{"steady", "bursts"} {
		t.Run(way, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			path := filepath.Join(t.TempDir(), "graph.db")
			g := openGraph(t, path)
			n := int64(1)
			for ; n <= graphIDs; n++ {
				set := operation(n)
				if err := g.Set(set); err != nil {
					t.Fatal(err)
				}
				g.SetLast(set.Timestamp)
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			total, late, oldest := 0, 0, time.Duration(0)
			for i := range times {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), graphHelperPath+"="+path, graphHelperWay+"="+way)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				var at time.Time // of its last sign of life: others may have the processor
				lines := bufio.NewScanner(out)
				if !lines.Scan() {
					t.Fatalf("start %d: the helper said nothing", i)
				}
				time.AfterFunc(time.Duration(rnd.IntN(400_000))*time.Microsecond, func() {
					cmd.Process.Kill()
				})
				var acked, last int64
				staged := map[int64]time.Time{}
				for lines.Scan() {
					var n, stamp int64
					// A pipe takes lines of this length whole.
					if k, _ := fmt.Sscanf(lines.Text(), "staged %d %d", &n, &stamp); k == 2 {
						staged[n], last = time.UnixMicro(stamp), n
					} else if k, _ := fmt.Sscanf(lines.Text(), "alive %d", &stamp); k == 1 {
						at = time.UnixMicro(stamp)
					} else if k, _ := fmt.Sscanf(lines.Text(), "acked %d", &n); k == 1 && staged[n] != (time.Time{}) {
						acked = n
						total++
					}
				}
				if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
					t.Fatalf("start %d: the helper was not killed: %v", i, err)
				}
				g := openGraph(t, path)
				entries := scan(t, g)
				isLate := false
				for n := int64(1); n <= last; n++ {
					want := operation(n)
					got, ok := entries[want.ID]
					if ok && !want.Timestamp.After(got.Timestamp) {
						continue
					}
					age := at.Sub(staged[n])
					oldest = max(oldest, age)
					switch {
					case n <= acked:
						t.Fatalf("start %d: operation %d of %d acknowledged ones is lost", i, n, acked)
					case n <= g.Last().Physical:
						t.Fatalf("start %d: the clock names %v, operation %d is not there", i, g.Last(), n)
					}
					isLate = isLate || age > safe
				}
				if isLate {
					late++
				}
				if err := g.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d kills, %d operations acknowledged; the oldest that was lost had been staged %v before", times, total, oldest)
			if late > 0 {
				t.Errorf("after %d kills something was lost that was staged more than %v before", late, safe)
			}
		})
	}
}
