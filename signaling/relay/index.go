package relay

import (
	"cmp"
	"slices"
	"sync"

	"github.com/nbd-wtf/go-nostr"
)

// index finds the subscriptions that an event matches (NIP-01), in time that
// grows with the matches rather than with the subscriptions: each filter is
// filed under the values of its most selective field, and an event looks only
// where its own id, author, tags and kind are filed. since is ignored, as every
// event here is new and clocks differ, and so is limit, as nothing is stored.
type index struct {
	mu      sync.RWMutex
	serial  uint64
	buckets map[place]*bucket
}

// place is where filters are filed: one value of one field.
type place struct {
	field field
	tag   string // the tag's name, in byTag
	value string
	kind  int // in byKind
}

type field uint8

const (
	byID field = iota
	byTag
	byAuthor
	byKind
	anywhere // filters that name nothing
)

// bucket holds the entries of one place, at most one for a subscription.
type bucket struct{ entries []*entry }

// entry is what one subscription has filed in one place.
type entry struct {
	sub      *subscription
	filters  []filter
	place    place
	position int // in the bucket
}

// filter is a filter as seen from the place where it is filed.
type filter struct {
	kinds []int         // nil: all
	rest  *nostr.Filter // nil: the place and kinds say everything
}

func newIndex() *index { return &index{buckets: map[place]*bucket{}} }

// add files a subscription. Its filters must not be changed afterwards.
func (x *index) add(sub *subscription, filters nostr.Filters) {
	found := map[place][]filter{}
	for i := range filters {
		f := &filters[i]
		places, complete := placesOf(f)
		filed := filter{kinds: f.Kinds}
		if !complete {
			filed.rest = f
		}
		for _, p := range places {
			found[p] = append(found[p], filed)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.serial++
	sub.serial = x.serial
	for p, fs := range found {
		b := x.buckets[p]
		if b == nil {
			b = &bucket{}
			x.buckets[p] = b
		}
		e := &entry{sub: sub, filters: fs, place: p, position: len(b.entries)}
		b.entries = append(b.entries, e)
		sub.entries = append(sub.entries, e)
	}
}

// remove takes a subscription out. It may be called more than once.
func (x *index) remove(sub *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range sub.entries {
		b := x.buckets[e.place]
		last := len(b.entries) - 1
		b.entries[e.position] = b.entries[last]
		b.entries[e.position].position = e.position
		b.entries[last] = nil
		b.entries = b.entries[:last]
		if last == 0 {
			delete(x.buckets, e.place)
		}
	}
	sub.entries = nil
}

// matches are the subscriptions that want an event, each once. Its memory is
// used again.
type matches struct {
	prompt []*subscription
	late   []*subscription // to be served after those

	several []*subscription // filed in several places: may be found twice
}

func (m *matches) reset() {
	clear(m.prompt)
	clear(m.late)
	clear(m.several)
	m.prompt, m.late, m.several = m.prompt[:0], m.late[:0], m.several[:0]
}

func (m *matches) add(sub *subscription) {
	if sub.late {
		m.late = append(m.late, sub)
	} else {
		m.prompt = append(m.prompt, sub)
	}
}

// match adds the subscriptions that want an event to m, which is empty.
func (x *index) match(ev *nostr.Event, m *matches) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	look := func(p place) {
		b := x.buckets[p]
		if b == nil {
			return
		}
		for _, e := range b.entries {
			switch {
			case !e.matches(ev):
			case len(e.sub.entries) > 1:
				m.several = append(m.several, e.sub)
			default:
				m.add(e.sub)
			}
		}
	}
	look(place{field: byID, value: ev.ID})
	look(place{field: byAuthor, value: ev.PubKey})
	look(place{field: byKind, kind: ev.Kind})
	look(place{field: anywhere})
	for i, tag := range ev.Tags {
		if len(tag) > 1 && !repeats(ev.Tags[:i], tag) {
			look(place{field: byTag, tag: tag[0], value: tag[1]})
		}
	}
	slices.SortFunc(m.several, func(a, b *subscription) int { return cmp.Compare(a.serial, b.serial) })
	for i, sub := range m.several {
		if i == 0 || sub != m.several[i-1] {
			m.add(sub)
		}
	}
}

// repeats keeps an event that has the same tag many times from costing as much
// as many events.
func repeats(tags nostr.Tags, tag nostr.Tag) bool {
	return slices.ContainsFunc(tags, func(t nostr.Tag) bool {
		return len(t) > 1 && t[0] == tag[0] && t[1] == tag[1]
	})
}

func (e *entry) matches(ev *nostr.Event) bool {
	for i := range e.filters {
		f := &e.filters[i]
		if f.kinds != nil && !slices.Contains(f.kinds, ev.Kind) {
			continue
		}
		if f.rest == nil || f.rest.MatchesIgnoringTimestampConstraints(ev) &&
			(f.rest.Until == nil || ev.CreatedAt <= *f.rest.Until) {
			return true
		}
	}
	return false
}

// placesOf returns where a filter is filed, without repetitions, and whether
// its place and kinds say all that it demands.
func placesOf(f *nostr.Filter) (places []place, complete bool) {
	tag, tags := "", 0
	for name, values := range f.Tags {
		if values == nil {
			continue
		}
		if tags++; tags == 1 || len(values) < len(f.Tags[tag]) {
			tag = name
		}
	}
	complete = f.Until == nil
	switch {
	case f.IDs != nil:
		places = placesFor(byID, "", f.IDs)
		complete = complete && tags == 0 && f.Authors == nil
	case tags > 0:
		places = placesFor(byTag, tag, f.Tags[tag])
		complete = complete && tags == 1 && f.Authors == nil
	case f.Authors != nil:
		places = placesFor(byAuthor, "", f.Authors)
	case f.Kinds != nil:
		for _, kind := range distinct(f.Kinds) {
			places = append(places, place{field: byKind, kind: kind})
		}
	default:
		places = []place{{field: anywhere}}
	}
	return places, complete
}

func placesFor(field field, tag string, values []string) (places []place) {
	for _, value := range distinct(values) {
		places = append(places, place{field: field, tag: tag, value: value})
	}
	return places
}

func distinct[T cmp.Ordered](values []T) []T {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}
