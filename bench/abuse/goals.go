package main

import (
	"fmt"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// maxSlowdown is how many times longer an attack may make the 99th percentile.
const maxSlowdown = 5

// mustShow are the counters that these attacks must move.
var mustShow = []string{
	"events.forged",
	"refused.subscriptions", "refused.rate_limited", "refused.binary", "refused.too_large",
	"dropped_announces",
	"closed.junk", "closed.too_large", "closed.slow",
}

// missed names the goals that were missed: all that can be told from one phase.
func missed(phase string, v rounds.Values) (goals []string) {
	miss := func(format string, args ...any) { goals = append(goals, phase+": "+fmt.Sprintf(format, args...)) }
	if n := v[lost]; n != 0 {
		miss("%.0f deliveries lost", n)
	}
	if n := v[troubles]; n != 0 {
		miss("the honest peers had other trouble %.0f times", n)
	}
	if phase != attacked {
		return goals
	}
	for _, name := range mustShow {
		if v[relayPrefix+name] == 0 {
			miss("the counter %s shows nothing", name)
		}
	}
	if v[toldPrefix+copiesFirst] == 0 {
		miss("no forged copy came before its event")
	}
	if n := v[toldPrefix+unnamed]; n != 0 {
		miss("%.0f refusals have no counter", n)
	}
	for name, n := range v {
		counter, ok := strings.CutPrefix(name, toldPrefix)
		if shown, counted := v[relayPrefix+counter]; ok && counted && shown < n {
			miss("the counter %s shows %.0f of %.0f refusals", counter, shown, n)
		}
	}
	return goals
}

// tooSlow names the goal of the slowdown, if it was missed in the median round.
func tooSlow(ratios rounds.Series) (goals []string) {
	if r := ratios.Median(); !(r < maxSlowdown) {
		goals = append(goals, fmt.Sprintf("the 99th percentile is %.2f times that of the quiet phase, and should be under %d times", r, maxSlowdown))
	}
	return goals
}
