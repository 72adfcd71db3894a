package relay

import (
	"cmp"
	"slices"
	"testing"

	"github.com/nbd-wtf/go-nostr"
	"pgregory.net/rapid"
)

// Small ranges, so that filters and events meet often.
var (
	drawName   = rapid.SampledFrom([]string{"x", "e", "long"})
	drawValue  = rapid.SampledFrom([]string{"", "a", "b", "c"})
	drawKind   = rapid.IntRange(20000, 20003)
	drawTime   = rapid.Int64Range(98, 102)
	drawValues = orNil(rapid.SliceOfN(drawValue, 0, 3))
	drawFilter = rapid.Custom(func(t *rapid.T) nostr.Filter {
		f := nostr.Filter{
			IDs:     drawValues.Draw(t, "ids"),
			Authors: drawValues.Draw(t, "authors"),
			Kinds:   orNil(rapid.SliceOfN(drawKind, 0, 3)).Draw(t, "kinds"),
			Tags:    rapid.MapOfN(drawName, drawValues, 0, 2).Draw(t, "tags"),
			Limit:   rapid.IntRange(0, 1).Draw(t, "limit"),
		}
		if rapid.Bool().Draw(t, "has since") {
			since := nostr.Timestamp(drawTime.Draw(t, "since"))
			f.Since = &since
		}
		if rapid.Bool().Draw(t, "has until") {
			until := nostr.Timestamp(drawTime.Draw(t, "until"))
			f.Until = &until
		}
		return f
	})
	drawEvent = rapid.Custom(func(t *rapid.T) *nostr.Event {
		ev := &nostr.Event{
			ID:        drawValue.Draw(t, "id"),
			PubKey:    drawValue.Draw(t, "author"),
			Kind:      drawKind.Draw(t, "kind"),
			CreatedAt: nostr.Timestamp(drawTime.Draw(t, "time")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "tags") {
			tag := nostr.Tag{drawName.Draw(t, "name"), drawValue.Draw(t, "value"), "more"}
			ev.Tags = append(ev.Tags, tag[:rapid.IntRange(0, 3).Draw(t, "length")])
		}
		return ev
	})
)

func orNil[T any](g *rapid.Generator[[]T]) *rapid.Generator[[]T] {
	return rapid.OneOf(rapid.Just([]T(nil)), g)
}

// The index finds exactly the subscriptions whose filters match, each once: the
// rules of NIP-01 as go-nostr implements them, but for since.
func TestIndexFindsWhatMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		open := map[*subscription]nostr.Filters{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				filters := rapid.SliceOfN(drawFilter, 1, 3).Draw(t, "filters")
				sub := &subscription{late: rapid.Bool().Draw(t, "late")}
				x.add(sub, filters)
				open[sub] = filters
			},
			"remove": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip()
				}
				sub := rapid.SampledFrom(bySerial(open)).Draw(t, "sub")
				x.remove(sub)
				x.remove(sub)
				delete(open, sub)
			},
			"match": func(t *rapid.T) {
				ev := drawEvent.Draw(t, "event")
				want := map[*subscription]nostr.Filters{}
				for sub, filters := range open {
					for _, f := range filters {
						if f.Since = nil; f.Matches(ev) {
							want[sub] = filters
						}
					}
				}
				var found matches
				x.match(ev, &found)
				for _, sub := range found.prompt {
					if sub.late {
						t.Fatal("a late subscription is served promptly")
					}
				}
				got := append(found.prompt, found.late...)
				slices.SortFunc(got, func(a, b *subscription) int { return cmp.Compare(a.serial, b.serial) })
				if !slices.Equal(got, bySerial(want)) {
					t.Fatalf("event %s:\nfound %d subscriptions, want %v", ev, len(got), want)
				}
			},
			"": func(t *rapid.T) {
				if len(open) == 0 && len(x.buckets) != 0 {
					t.Fatalf("%d places left over", len(x.buckets))
				}
			},
		})
	})
}

func bySerial(subs map[*subscription]nostr.Filters) []*subscription {
	var list []*subscription
	for sub := range subs {
		list = append(list, sub)
	}
	slices.SortFunc(list, func(a, b *subscription) int { return cmp.Compare(a.serial, b.serial) })
	return list
}
