package cells

import (
	"testing"
	"time"
)

func TestSeals(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name    string
		changes []time.Duration
		due     map[time.Duration]bool
	}{
		{"nothing changed", nil, map[time.Duration]bool{0: false, Cap: false, time.Hour: false}},
		{"one change", []time.Duration{0}, map[time.Duration]bool{0: false, Quiet - 1: false, Quiet: true, time.Hour: true}},
		{"a second one in the gap", []time.Duration{0, s}, map[time.Duration]bool{Quiet: false, s + Quiet - 1: false, s + Quiet: true}},
		{"no gap", []time.Duration{0, s, 2 * s, 3 * s, 4 * s, 5 * s, 6 * s, 7 * s, 8 * s, 9 * s}, map[time.Duration]bool{9 * s: false, Cap - 1: false, Cap: true}},
		{"the cap counts from the first change", []time.Duration{5 * s, 14 * s}, map[time.Duration]bool{14 * s: false, 15*s - 1: false, 15 * s: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The zero time is one as any other.
			for _, start := range []time.Time{{}, time.Unix(0, 0), time.UnixMilli(1795351587075)} {
				var seals Seals
				for _, at := range c.changes {
					seals.Changed(start.Add(at))
				}
				for at, want := range c.due {
					if seals.Due(start.Add(at)) != want {
						t.Errorf("after %v: not %v", at, want)
					}
				}
				seals.Sealed()
				if seals.Due(start.Add(time.Hour)) {
					t.Error("due after the seal")
				}
				seals.Changed(start.Add(time.Hour))
				if seals.Due(start.Add(time.Hour)) || !seals.Due(start.Add(time.Hour+Quiet)) {
					t.Error("the next seal has not its own time")
				}
			}
		})
	}
}
