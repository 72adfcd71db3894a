package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// result is what was seen.
type result struct {
	config
	traces                []*trace
	twice                 int
	came                  int   // and as many left
	links                 []int // of each peer, before the churn
	memory                uint64
	idleFrames, idleBytes float64 // a second and peer, that come to it
	meshBytes             int64
	sealed, linked        time.Duration // virtual, after one more has come
	resealReal            time.Duration
	oneJoin               time.Duration // real, of a topology
	topology              *cells.Topology
	dropped               map[string]uint64
}

// reach is the part of the settled peers, of those who stayed until the message had had
// time, that were told of each; and how many were not, and the messages with such.
func (r *result) reach() (part float64, missed, of int) {
	for _, t := range r.traces {
		for _, p := range t.settled {
			if !t.counts(p) {
				continue
			}
			if of++; !t.told[p.number] {
				missed++
			}
		}
	}
	return 1 - float64(missed)/float64(max(1, of)), missed, of
}

// received are the copies and hops of all messages and settled peers, sorted.
func (r *result) received() (copies, hops []int) {
	for _, t := range r.traces {
		for _, p := range t.settled {
			if !t.counts(p) || !t.told[p.number] {
				continue
			}
			copies = append(copies, int(t.copies[p.number].Load()))
			hops = append(hops, int(t.hops[p.number].Load()))
		}
	}
	slices.Sort(copies)
	slices.Sort(hops)
	return copies, hops
}

func (r *result) print(out, progress io.Writer, took time.Duration) {
	reach, missed, of := r.reach()
	copies, hops := r.received()
	slices.Sort(r.links)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) { fmt.Fprintf(w, what+"\t"+format+"\n", args...) }
	line("peers", "%d in %d cells of %d; %d left and as many came in %s; loss %g %%",
		r.topology.Len(), r.topology.Cells(), r.cell, r.came, r.play, 100*r.loss)
	line("reach", "%.4f %% of settled peers: %d of %d were missed, %d told twice", 100*reach, missed, of, r.twice)
	line("hops", "median %d, p99 %d, most %d; ttl %d", at(hops, 50), at(hops, 99), at(hops, 100), r.topology.TTL())
	line("copies", "median %d, mean %.2f, p99 %d, most %d a peer and message", at(copies, 50), float64(sum(copies))/float64(max(1, len(copies))), at(copies, 99), at(copies, 100))
	line("links", "median %d, p99 %d, most %d a peer; %d in all", at(r.links, 50), at(r.links, 99), at(r.links, 100), sum(r.links)/2)
	line("bytes", "%d a message and peer; idle: %.0f a second and peer, in %.1f frames", r.meshBytes/int64(max(1, len(r.traces)*r.peers)), r.idleBytes, r.idleFrames)
	line("reseal", "one more comes: everybody has sealed after %s, it has its links after %s; %s real", r.sealed, r.linked, r.resealReal.Round(time.Millisecond))
	line("topology", "one join: %s real", r.oneJoin)
	line("memory", "%d MiB in use, %d bytes a link end; %s", r.memory>>20, r.memory/uint64(max(1, sum(r.links))), peak())
	line("time", "%s, %s of CPU", took.Round(100*time.Millisecond), cpuTime().Round(100*time.Millisecond))
	w.Flush()
	for _, why := range slices.Sorted(maps.Keys(r.dropped)) {
		fmt.Fprintf(progress, "dropped: %s: %d\n", why, r.dropped[why])
	}
}

// at is a percentile of what is sorted.
func at(sorted []int, percent int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// cpuTime is what the process has used, of all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the process's greatest memory, where the system tells.
func peak() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "peak unknown"
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return "peak " + strings.TrimSpace(kb)
		}
	}
	return "peak unknown"
}
