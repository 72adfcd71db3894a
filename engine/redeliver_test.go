package engine

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is written, pinged and answered: what is proved to have arrived is
// forgotten, and nothing else.
func TestUnconfirmedIsWhatNothingProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			c     counters
			u     = unconfirmed{limit: 1 << 20}
			order []*outgoing // written; nil is a ping
			seat  = new(Seat)
			ref   uint64
		)
		unproved := func(redeliver bool) (list []*outgoing) {
			for _, m := range order {
				if m != nil && m.redeliver == redeliver {
					list = append(list, m)
				}
			}
			return list
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				ref++
				m := &outgoing{seat: seat, ref: ref, redeliver: rapid.Bool().Draw(t, "redeliver"), frames: [][]byte{make([]byte, 20)}}
				before := u.watched
				if u.note(m, &c) == before {
					t.Fatalf("watched before: %t, and asks for it: %t", before, !before)
				}
				order = append(order, m)
			},
			"ping": func(*rapid.T) { u.pinged(); order = append(order, nil) },
			"pong": func(*rapid.T) {
				u.ponged()
				i := slices.Index(order, nil)
				order = order[i+1:] // all of it if nobody asked: i is -1
			},
			"acknowledge": func(*rapid.T) {
				u.acknowledged()
				order = slices.DeleteFunc(order, func(m *outgoing) bool { return m != nil && !m.redeliver })
			},
			"due": func(t *rapid.T) {
				acked := rapid.Bool().Draw(t, "acked")
				uncovered := func(list []*outgoing) bool {
					return len(list) > 0 && !slices.Contains(order[slices.Index(order, list[0]):], nil)
				}
				want := uncovered(unproved(true)) || !acked && uncovered(unproved(false))
				ping, again := u.due(acked)
				if ping != want || again != (len(unproved(true))+len(unproved(false)) > 0) {
					t.Fatalf("ping %t, want %t; again %t", ping, want, again)
				}
			},
			"": func(t *rapid.T) {
				if !slices.Equal(u.kept, unproved(true)) || !slices.Equal(u.reported, unproved(false)) {
					t.Fatalf("%d are kept and %d would be reported, want %d and %d", len(u.kept), len(u.reported), len(unproved(true)), len(unproved(false)))
				}
				bytes := 0
				for _, m := range append(u.kept, u.reported...) {
					bytes += m.cost()
				}
				if u.bytes != bytes {
					t.Fatalf("counted %d bytes, are %d", u.bytes, bytes)
				}
			},
		})
	})
}

// Too many unconfirmed messages: first the oldest will be reported instead of
// sent again, then the oldest are not even reported.
func TestUnconfirmedIsBounded(t *testing.T) {
	var c counters
	u := unconfirmed{limit: 10_000}
	write := func(n int, redeliver bool) {
		for range n {
			u.note(&outgoing{seat: new(Seat), redeliver: redeliver, frames: [][]byte{make([]byte, 1000-eventCost)}}, &c)
			if u.bytes > u.limit {
				t.Fatalf("%d bytes of %d", u.bytes, u.limit)
			}
		}
	}
	write(15, true)
	if len(u.kept) != 15 || u.given != 6 {
		t.Errorf("%d of %d are given up, want 6 of 15", u.given, len(u.kept))
	}
	write(200, false)
	if len(u.kept) != 15 || u.given != 15 {
		t.Errorf("%d of %d are given up, want 15 of 15", u.given, len(u.kept))
	}
	if got := c.dropped.Counts()["message: will not be sent again, too many are unconfirmed"]; got != 15 {
		t.Errorf("%d were counted as given up, want 15", got)
	}
	total := 10_000 / eventCost
	if got := c.dropped.Counts()["message: will not be reported, too many are unconfirmed"]; got != uint64(215-total) {
		t.Errorf("%d were counted as forgotten, want %d", got, 215-total)
	}
	resend, report := u.end()
	if len(resend) != 0 || len(report) != total {
		t.Errorf("%d to send again, %d to report, want 0 and %d", len(resend), len(report), total)
	}
}

// One message larger than the bound is still sent again.
func TestUnconfirmedTakesOneLargeMessage(t *testing.T) {
	var c counters
	u := unconfirmed{limit: 100}
	u.note(&outgoing{seat: new(Seat), redeliver: true, frames: [][]byte{make([]byte, 1000)}}, &c)
	if resend, _ := u.end(); len(resend) != 1 || len(resend[0].frames) != 1 {
		t.Errorf("%d to send again", len(resend))
	}
}
