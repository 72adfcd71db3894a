package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// helperPath is the variable that makes main_test.go a helper process: its file.
const helperPath = "GENOSRTC_STORE_HELPER"

// crashes is how often TestKilled kills, by this variable.
const crashes = "GENOSRTC_CRASHES"

const callers, ofEach = 20, 500

// helper puts seats from many goroutines and prints each that was acknowledged. Taken
// only rises.
func helper(path string) {
	start := time.Now()
	s, err := Open(path, quiet)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("open", time.Since(start).Microseconds())
	base := uint64(start.UnixNano())
	var wg sync.WaitGroup
	for c := range uint64(callers) {
		wg.Go(func() {
			for taken := base; ; taken++ {
				n := c*ofEach + rand.Uint64N(ofEach)
				if err := s.Put(seat("room", n, taken)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println("acked", n, taken)
			}
		})
	}
	wg.Wait()
}

// TestKilled kills a process that puts seats, with -9 at random moments, over and
// over on one file of 10,000: what was acknowledged is there.
func TestKilled(t *testing.T) {
	times := 6
	if s := os.Getenv(crashes); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	acked := map[[32]byte]uint64{}
	var seats []Seat
	for n := range uint64(callers * ofEach) {
		seats = append(seats, seat("room", n, 1))
		acked[token(n)] = 1
	}
	if err := s.Put(seats...); err != nil {
		t.Fatal(err)
	}
	s.Close()
	total := 0
	var opens []time.Duration
	for i := range times {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), helperPath+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("start %d: the helper said nothing", i)
		}
		micros, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "open "))
		if err != nil {
			t.Fatalf("%q", lines.Text())
		}
		opens = append(opens, time.Duration(micros)*time.Microsecond)
		timer := time.AfterFunc(time.Duration(rnd.IntN(50_000))*time.Microsecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			var n, taken uint64
			// The end of the process may cut the last line.
			if k, err := fmt.Sscanf(lines.Text(), "acked %d %d", &n, &taken); k == 2 && err == nil {
				acked[token(n)] = max(acked[token(n)], taken)
				total++
			}
		}
		timer.Stop()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("start %d: the helper was not killed: %v", i, err)
		}
		s := open(t, path)
		got, err := s.Seats("room")
		if err != nil || len(got) != len(acked) {
			t.Fatalf("start %d: %d seats, want %d: %v", i, len(got), len(acked), err)
		}
		for _, seat := range got {
			if seat.Taken < acked[seat.Token] {
				t.Fatalf("start %d: taken %d, acknowledged %d", i, seat.Taken, acked[seat.Token])
			}
		}
		s.Close()
	}
	slices.Sort(opens)
	t.Logf("%d kills, %d puts acknowledged; opening with %d seats took %v at the median, %v at most",
		times, total, len(acked), opens[len(opens)/2], opens[len(opens)-1])
}
