package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var (
	runs     = flag.Int("rounds", 5, "number of rounds")
	duration = flag.Duration("time", 2*time.Second, "duration of one load on one bridge")
	only     = flag.String("loads", "", "loads to run, separated by commas; all if empty")
	profiles = flag.String("profiles", "", "folder for CPU profiles of the server, taken in the last round")
	role     = flag.String("role", "", "what the driver starts its child processes with")
)

// bridges are what is compared, each to the one after it.
var bridges = []kind{
	{name: "ours"},
	{name: "bare", bare: true},
	{name: "ours tuned", tuned: true},
	{name: "bare tuned", bare: true, tuned: true},
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	if *role != "" {
		if err := serve(*role); err != nil {
			log.Fatalf("%s: %v", *role, err)
		}
		return
	}
	var chosen []load
	for _, l := range loads {
		if *only == "" || slices.Contains(strings.Split(*only, ","), l.name) {
			chosen = append(chosen, l)
		}
	}
	t := table{}
	for n := range *runs {
		log.Printf("round %d of %d", n+1, *runs)
		if err := round(n, chosen, t); err != nil {
			log.Fatal(err)
		}
	}
	if err := t.print(os.Stdout, chosen); err != nil {
		log.Fatal(err)
	}
}

// round puts every load on every bridge. Who comes first changes from round to
// round.
func round(n int, chosen []load, t table) error {
	var open []*bridge
	defer func() {
		for _, b := range open {
			b.close()
		}
	}()
	for _, k := range bridges {
		b, err := start(k)
		if err != nil {
			return fmt.Errorf("start %s: %w", k.name, err)
		}
		open = append(open, b)
	}
	for _, l := range chosen {
		for i := range open {
			b := open[(i+n)%len(open)]
			if *profiles != "" && n == *runs-1 && !b.kind.bare {
				b.profile = filepath.Join(*profiles, strings.ReplaceAll(b.kind.name+" "+l.name, " ", "-")+".pprof")
			}
			r, err := l.run(b)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", b.kind.name, l.name, err)
			}
			t.add(l, b.kind, r)
			fmt.Fprintf(os.Stderr, "  %-18s %-10s %v\n", l.name, b.kind.name, r)
		}
	}
	return nil
}
