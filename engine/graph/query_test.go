package graph

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// entries yields nodes as a store does, and lets others write between two pages.
type entries map[string]Entry

func (m entries) scan(from string, yield func(Entry) bool) error {
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if id >= from && !yield(m[id]) {
			break
		}
	}
	return nil
}

// A page bounds all that it holds, what is not served of a node too.
func TestPageOfLargeExtras(t *testing.T) {
	all := entries{}
	for n := range 20 {
		id := fmt.Sprint("n", n)
		all[id] = Entry{ID: id, Value: []byte("1"), Extra: make([]byte, 1<<20)}
	}
	for _, order := range []string{"", "a"} {
		page, err := (&Query{Limit: MaxPage, Order: order}).Run(all.scan)
		if err != nil || len(page.Nodes) > 4 || page.Cursor == "" {
			t.Errorf("order %q: %d nodes, %v", order, len(page.Nodes), err)
		}
	}
}

// Paging through everything, in any order, is one sorted list of the nodes that stay
// as they are, whatever others do meanwhile.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stay, all := entries{}, entries{}
		ids := rapid.StringOfN(rapid.RuneFrom([]rune("ab/é\U0001F600")), 1, 5, -1)
		add := func(to ...entries) {
			id := ids.Draw(t, "id")
			if _, there := stay[id]; there {
				return
			}
			e := Entry{ID: id, Value: mustJSON(t, aNode.Draw(t, "value"))}
			for _, m := range to {
				m[id] = e
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "nodes") {
			add(stay, all)
		}
		order := rapid.SampledFrom([]string{"", "a", "-a", "b.a", "-ü"}).Draw(t, "order")
		q := Query{
			Prefix: rapid.SampledFrom([]string{"", "", "a", "é"}).Draw(t, "prefix"),
			Order:  order,
			Limit:  rapid.IntRange(1, 7).Draw(t, "limit"),
		}
		if rapid.Bool().Draw(t, "filtered") {
			var err error
			if q.Filter, err = ParseFilter([]byte(`{"b":{"$exists":true}}`)); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for id, e := range stay {
			if strings.HasPrefix(id, q.Prefix) && (q.Filter == nil || q.Filter.Match(e.Value)) {
				want = append(want, id)
			}
		}
		key := func(id string) value {
			var f finder
			if _, err := f.slot(cmp.Or(strings.TrimPrefix(order, "-"), "none")); err != nil {
				t.Fatal(err)
			}
			f.read(stay[id].Value)
			v := *f.value(0)
			if v.kind == nestedKind {
				v.text = nil
			}
			return v
		}
		slices.SortFunc(want, func(a, b string) int {
			ka, kb := key(a), key(b)
			c := cmp.Or(ka.compare(&kb), strings.Compare(a, b))
			if strings.HasPrefix(order, "-") {
				return -c
			}
			return c
		})
		var got []string
		for page := 0; ; page++ {
			if page > 200 {
				t.Fatal("it does not end")
			}
			answer, err := q.Run(all.scan)
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Nodes) > q.Limit {
				t.Fatalf("%d nodes in a page", len(answer.Nodes))
			}
			for _, e := range answer.Nodes {
				if _, ok := stay[e.ID]; ok {
					got = append(got, e.ID)
				}
			}
			if answer.Cursor == "" {
				break
			}
			q.Cursor = answer.Cursor
			if page < 5 {
				for range rapid.IntRange(0, 3).Draw(t, "writes") {
					add(all)
				}
				for id := range maps.Clone(all) {
					if _, ok := stay[id]; !ok && rapid.Bool().Draw(t, "remove") {
						delete(all, id)
					}
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// Of all kinds of values there is one order, and its reverse.
func TestOrderOfKinds(t *testing.T) {
	m := entries{}
	want := []string{"", `null`, `false`, `true`, `-1e400`, `-5`, `3`, `1e308`, `""`, `"10"`, `"9"`, `"Z"`, `"a\u0000"`, `"é"`, `{"z":1}`, `[0]`}
	for i, v := range want {
		e := Entry{ID: fmt.Sprintf("%02d", i), Value: []byte(`{"x":` + v + `}`)}
		if v == "" {
			e.Value = []byte(`"no object"`)
		}
		m[e.ID] = e
	}
	for _, order := range []string{"x", "-x"} {
		page, err := (&Query{Order: order, Limit: MaxPage}).Run(m.scan)
		if err != nil || page.Cursor != "" {
			t.Fatal(page.Cursor, err)
		}
		if order == "-x" {
			slices.Reverse(page.Nodes)
		}
		for i, e := range page.Nodes {
			if e.ID != fmt.Sprintf("%02d", i) {
				t.Errorf("%s: %s at %d, not %s", order, e.Value, i, want[i])
			}
		}
	}
}

// However large nodes are, a page is not; and every node comes.
func TestLargeNodes(t *testing.T) {
	for _, order := range []string{"", "-n"} {
		m := entries{}
		for i, node := range []struct{ n, parts int }{{9, 3}, {5, 5}, {1, 1}, {7, 8}, {3, 2}} {
			m[fmt.Sprint(i)] = Entry{ID: fmt.Sprint(i), Value: fmt.Appendf(nil, `{"n":%d,"x":"%s"}`, node.n, strings.Repeat("x", node.parts*maxPageBytes/6))}
		}
		q := Query{Order: order, Limit: 5}
		got := map[string]bool{}
		for {
			page, err := q.Run(m.scan)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, e := range page.Nodes {
				n += e.Size()
				if got[e.ID] {
					t.Errorf("%s twice", e.ID)
				}
				got[e.ID] = true
			}
			if n > maxPageBytes && len(page.Nodes) > 1 {
				t.Errorf("a page of %d bytes", n)
			}
			if q.Cursor = page.Cursor; q.Cursor == "" {
				break
			}
		}
		if len(got) != len(m) {
			t.Errorf("order %q: %d nodes of %d", order, len(got), len(m))
		}
	}
}

func TestBadQueries(t *testing.T) {
	m := entries{"a": {ID: "a"}, "b": {ID: "b"}}
	page, err := (&Query{Order: "n", Limit: 1}).Run(m.scan)
	if err != nil || page.Cursor == "" {
		t.Fatal(err)
	}
	for q, want := range map[*Query]error{
		{Order: "-"}:                             ErrOrder,
		{Order: "a..b"}:                          ErrOrder,
		{Order: strings.Repeat("a", maxOrder+1)}: ErrOrder,
		{Order: strings.Repeat("a.", 16) + "a"}:  ErrOrder,
		{Cursor: "?"}:                            ErrCursor,
		{Cursor: "AAAA"}:                         ErrCursor,
		{Cursor: page.Cursor}:                    ErrCursor,
		{Cursor: page.Cursor, Order: "-n"}:       ErrCursor,
		{Cursor: page.Cursor, Order: "n"}:        nil,
		{Cursor: page.Cursor + "A", Order: "n"}:  ErrCursor,
	} {
		if _, err := q.Run(m.scan); !errors.Is(err, want) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	broken := errors.New("the disk is full of holes")
	if _, err := (&Query{}).Run(func(string, func(Entry) bool) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func FuzzCursor(f *testing.F) {
	seed := place{value{stringKind, 1, []byte("x")}, "id"}
	f.Add(seed.cursor("a"))
	f.Fuzz(func(t *testing.T, s string) {
		m := entries{"a": {ID: "a", Value: []byte(`{"a":"x"}`)}, "z": {ID: "z"}}
		page, err := (&Query{Cursor: s, Order: "a", Limit: 1}).Run(m.scan)
		if err == nil && len(page.Nodes) > 1 {
			t.Error(page)
		}
	})
}

func BenchmarkQuery(b *testing.B) {
	var nodes []Entry
	for i := range 20_000 {
		nodes = append(nodes, Entry{ID: fmt.Sprintf("node-%05d", i), Value: fmt.Appendf(nil,
			`{"type":"sensor","name":"sensor %d","at":{"lat":%d.5,"lon":7.25},"tags":["a","b","c"],"t":%d,"text":"%s"}`,
			i, i%90, i%500, strings.Repeat("lorem ipsum ", 16))})
	}
	scan := func(_ string, yield func(Entry) bool) error {
		for _, e := range nodes {
			if !yield(e) {
				break
			}
		}
		return nil
	}
	for _, order := range []string{"", "-t", "name"} {
		b.Run("order="+order, func(b *testing.B) {
			filter, err := ParseFilter([]byte(`{"type":"sensor","t":{"$gte":250},"at.lat":{"$lt":10}}`))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				page, err := (&Query{Filter: filter, Order: order, Limit: MaxPage}).Run(scan)
				if err != nil || len(page.Nodes) != 1000 {
					b.Fatal(len(page.Nodes), err)
				}
			}
		})
	}
}
