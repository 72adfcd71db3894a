package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// metric is a figure of a load.
type metric struct {
	name     string
	decimals int
	of       func(result) float64
	added    bool // what we add is of interest, not our ratio
}

var (
	bulk = []metric{
		{name: "MB/s", decimals: 1, of: func(r result) float64 { return r.bytes / r.seconds / 1e6 }},
		{name: "CPU s/GB", decimals: 1, of: func(r result) float64 { return r.cpu / r.bytes * 1e9 }},
		{name: "with the driver's", decimals: 1, of: func(r result) float64 { return (r.cpu + r.driver) / r.bytes * 1e9 }},
	}
	small = []metric{
		{name: "messages/s", of: func(r result) float64 { return r.messages / r.seconds }},
		{name: "CPU us/message", decimals: 1, of: func(r result) float64 { return r.cpu / r.messages * 1e6 }},
		{name: "with the driver's", decimals: 1, of: func(r result) float64 { return (r.cpu + r.driver) / r.messages * 1e6 }},
		{name: "allocations/message", decimals: 1, of: func(r result) float64 { return r.mallocs / r.messages }},
	}
	latency = []metric{
		{name: "p50 us", of: func(r result) float64 { return float64(r.p50.Nanoseconds()) / 1e3 }, added: true},
		{name: "p99 us", of: func(r result) float64 { return float64(r.p99.Nanoseconds()) / 1e3 }, added: true},
		{name: "CPU us/message", decimals: 1, of: func(r result) float64 { return r.cpu / r.messages * 1e6 }},
	}
)

func (l load) metrics() []metric {
	switch {
	case l.rate > 0:
		return latency
	case l.size < frameData:
		return small
	}
	return bulk
}

// table has the results of all rounds, by load and bridge.
type table map[string]map[string][]result

func (t table) add(l load, k kind, r result) {
	if t[l.name] == nil {
		t[l.name] = make(map[string][]result)
	}
	t[l.name][k.name] = append(t[l.name][k.name], r)
}

// print prints a row for each figure: ours, the bare bridge's, and their ratio,
// or for latency our difference, in the same rounds; with defaults, and tuned.
func (t table) print(out io.Writer, loads []load) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "median [min..max] of %d\tours\tbare\t\tours tuned\tbare tuned\t\n", *runs)
	for _, l := range loads {
		for _, m := range l.metrics() {
			fmt.Fprintf(w, "%s, %s", l.name, m.name)
			for pair := range len(bridges) / 2 {
				ours := t.series(l, bridges[2*pair], m)
				bare := t.series(l, bridges[2*pair+1], m)
				compared := "x" + ours.Ratios(bare).Format(2)
				if m.added {
					compared = difference(ours, bare).Format(0)
				}
				fmt.Fprintf(w, "\t%s\t%s\t%s", ours.Format(m.decimals), bare.Format(m.decimals), compared)
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

func difference(a, b rounds.Series) rounds.Series {
	d := make(rounds.Series, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return d
}

func (t table) series(l load, k kind, m metric) rounds.Series {
	var s rounds.Series
	for _, r := range t[l.name][k.name] {
		s = append(s, m.of(r))
	}
	return s
}
