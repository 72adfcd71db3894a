package journal

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment of a helper process, which main_test.go starts.
const (
	helperDir  = "GENOSRTC_JOURNAL_HELPER" // its folder
	helperFull = "GENOSRTC_JOURNAL_FULL"   // the disk is full after that many bytes of a file
)

// crashes is how often TestKilled kills, by this variable.
const crashes = "GENOSRTC_CRASHES"

// content is what the helper appends at an offset.
func content(offset uint64) []byte {
	r := rand.New(rand.NewPCG(offset, 1))
	b := make([]byte, r.IntN(4000))
	for i := range b {
		b[i] = byte(offset) + byte(i)
	}
	return b
}

// helper appends as fast as it can and prints the offset of every acknowledged batch.
func helper(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if full := os.Getenv(helperFull); full != "" {
		n, err := strconv.ParseUint(full, 10, 64)
		must(err)
		must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}))
	}
	start := time.Now()
	j, err := Open(Config{Dir: dir, Logger: quiet})
	must(err)
	if len(j.Damage()) > 0 {
		must(j.Damage()[0].Err)
	}
	fmt.Println("open", time.Since(start).Microseconds(), j.Last())
	for {
		var batch [][]byte
		for i := range rand.IntN(4) + 1 {
			batch = append(batch, content(j.Last()+uint64(i)+1))
		}
		last, err := j.Append(batch...)
		if err != nil {
			fmt.Println("failed", last, err)
			again, err := j.Append([]byte("more"))
			fmt.Println("failed", again, err)
			return
		}
		fmt.Println("acked", last)
	}
}

// TestKilled kills a process that appends, with -9 at random moments, over and over
// on one folder: what it acknowledged is there.
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
	dir := t.TempDir()
	var acked, torn uint64
	var opens []time.Duration
	for i := range times {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), helperDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("start %d: the helper said nothing", i)
		}
		var micros, last uint64
		if _, err := fmt.Sscanf(lines.Text(), "open %d %d", &micros, &last); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		opens = append(opens, time.Duration(micros)*time.Microsecond)
		if last < acked {
			t.Fatalf("start %d: last %d, acknowledged %d", i, last, acked)
		}
		torn += last - acked
		timer := time.AfterFunc(time.Duration(rnd.IntN(50_000))*time.Microsecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			// The end of the process may cut the last line.
			if s, ok := strings.CutPrefix(lines.Text(), "acked "); ok {
				if n, err := strconv.ParseUint(s, 10, 64); err == nil && n > acked {
					acked = n
				}
			}
		}
		timer.Stop()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("start %d: the helper was not killed: %v", i, err)
		}
	}
	j := open(t, Config{Dir: dir})
	if len(j.Damage()) > 0 || j.Last() < acked {
		t.Fatalf("last %d, acknowledged %d; %v", j.Last(), acked, j.Damage())
	}
	next := j.First()
	for _, e := range readAll(t, j, next, 1<<20) {
		if e.Offset != next || !bytes.Equal(e.Data, content(next)) {
			t.Fatalf("offset %d, want %d; or its content is wrong", e.Offset, next)
		}
		next++
	}
	if next <= acked {
		t.Fatalf("read up to %d, acknowledged %d", next-1, acked)
	}
	slices.Sort(opens)
	t.Logf("%d kills, %d entries acknowledged, %d more were whole; opening took %v at the median, %v at most; %d MiB in the end",
		times, acked, torn, opens[len(opens)/2], opens[len(opens)-1], j.bytes>>20)
}

// A full disk leaves nothing of the batch that did not fit, and no doubt about it.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperFull+"=100000")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var acked uint64
	for _, line := range lines {
		fmt.Sscanf(line, "acked %d", &acked)
	}
	for _, line := range lines[len(lines)-2:] {
		if want := fmt.Sprintf("failed %d journal: append", acked); !strings.HasPrefix(line, want) || !strings.Contains(line, "file too large") {
			t.Fatalf("%q, want %q", line, want)
		}
	}
	j := open(t, Config{Dir: dir})
	if j.Last() != acked || len(j.Damage()) > 0 {
		t.Fatalf("last %d, acknowledged %d; %v", j.Last(), acked, j.Damage())
	}
	for _, e := range readAll(t, j, 1, 1000) {
		if !bytes.Equal(e.Data, content(e.Offset)) {
			t.Fatalf("entry %d is wrong", e.Offset)
		}
	}
}

func TestOpenFull(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	j := open(t, cfg)
	batch := make([][]byte, 100)
	for i := range batch {
		batch[i] = make([]byte, 200)
	}
	for j.bytes < DefaultMaxBytes-1<<20 {
		mustAppend(t, j, batch...)
	}
	n := j.bytes
	j.Close()
	start := time.Now()
	j = open(t, cfg)
	took := time.Since(start)
	t.Logf("%d MiB in %d entries, opened in %v", n>>20, j.Last(), took)
}
