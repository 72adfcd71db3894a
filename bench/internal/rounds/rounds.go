// Package rounds compares things that are measured in turn, on a machine that
// does other work too: each round measures all of them one after the other, and
// it is the ratios within a round that are to be trusted. Figures of different
// runs are not comparable.
package rounds

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Values are the figures of one measurement, by their metric's name.
type Values map[string]float64

// Metric is a row of the table.
type Metric struct {
	Name     string // with its unit: "ingest, events/s"
	Decimals int
}

// Results are the figures of all rounds.
type Results struct {
	names  []string
	rounds []map[string]Values // by name
}

// Run measures everything that is named, n times, in turn; every second round
// in the opposite order, so that nothing always comes first. Progress is
// written line by line. It ends at the first error.
func Run(n int, names []string, progress io.Writer, measure func(round int, name string) (Values, error)) (*Results, error) {
	res := &Results{names: names}
	for round := range n {
		values := map[string]Values{}
		for i := range names {
			name := names[i]
			if round%2 == 1 {
				name = names[len(names)-1-i]
			}
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, n, name)
			v, err := measure(round, name)
			if err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, name, err)
			}
			values[name] = v
		}
		res.rounds = append(res.rounds, values)
	}
	return res, nil
}

// Series returns one figure of one of the things measured.
func (r *Results) Series(name, metric string) Series {
	s := make(Series, len(r.rounds))
	for i, values := range r.rounds {
		x, ok := values[name][metric]
		if !ok {
			x = math.NaN()
		}
		s[i] = x
	}
	return s
}

// Print writes a table: a row for each metric, a column for each thing measured,
// and the ratios of the first one to each of the others, taken in each round.
// Everything is shown as median [lowest..highest].
func (r *Results) Print(w io.Writer, metrics []Metric) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "median [min..max] of %d", len(r.rounds))
	for _, name := range r.names {
		fmt.Fprintf(t, "\t%s", name)
	}
	for _, name := range r.names[1:] {
		fmt.Fprintf(t, "\t%s / %s", r.names[0], name)
	}
	fmt.Fprintln(t)
	for _, m := range metrics {
		fmt.Fprint(t, m.Name)
		for _, name := range r.names {
			fmt.Fprintf(t, "\t%s", r.Series(name, m.Name).Format(m.Decimals))
		}
		first := r.Series(r.names[0], m.Name)
		for _, name := range r.names[1:] {
			fmt.Fprintf(t, "\t%s", first.Ratios(r.Series(name, m.Name)).Format(2))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
