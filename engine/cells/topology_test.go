package cells

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("peer%016x", i*2654435761)
	}
	return list
}

// twins are two ids with the same hash, which have the same cell and the same rank
// whatever the roster.
func twins(t testing.TB) (lower, higher string) {
	first := map[uint32]rune{} // by the half of the hash that a second character cannot undo
	for r := rune('a'); r < 0xd800; r++ {
		h := step(0, uint32(r))
		other, ok := first[h>>16]
		if !ok {
			first[h>>16] = r
			continue
		}
		// Both second characters must exist, and be no surrogates.
		for second := rune('a'); second < 0x3000; second++ {
			match := rune(h^step(0, uint32(other))) ^ second
			if match < 'a' || match >= 0xd800 {
				continue
			}
			lower, higher = string([]rune{other, second}), string([]rune{r, match})
			if Hash(lower) != Hash(higher) {
				t.Fatalf("%q and %q are no twins", lower, higher)
			}
			return lower, higher
		}
	}
	t.Fatal("no twins")
	return "", ""
}

// After any joins and leaves a Topology is what docs/protocol.md says of its roster.
func TestTopologyAsRestated(t *testing.T) {
	twin1, twin2 := twins(t)
	id := rapid.OneOf(rapid.StringMatching(`[0-9A-Za-z]{20}`), rapid.StringN(1, 4, -1), rapid.SampledFrom([]string{twin1, twin2}))
	rapid.Check(t, func(t *rapid.T) {
		// Large rosters have no cells of one: the restatement is slow.
		n := rapid.OneOf(rapid.IntRange(0, 12), rapid.IntRange(0, 200), rapid.IntRange(0, 2000)).Draw(t, "peers")
		size := rapid.OneOf(rapid.IntRange(1+n/100, 4+n/100), rapid.IntRange(1+n/100, 64)).Draw(t, "size")
		salt := id.Draw(t, "salt")
		in := map[string]bool{}
		for i := range n {
			in[fmt.Sprintf("%s%d", salt, i)] = true
		}
		top := New(size, sortedKeys(in)...)
		check(t, top, size, in)
		for range rapid.IntRange(0, 3).Draw(t, "rounds") {
			if rapid.Bool().Draw(t, "leave") {
				list := sortedKeys(in)
				first := rapid.IntRange(0, len(list)).Draw(t, "from")
				for _, id := range list[first:rapid.IntRange(first, len(list)).Draw(t, "to")] {
					if !top.Remove(id) || top.Remove(id) || top.Has(id) || top.Cell(id) != -1 {
						t.Fatalf("%s did not leave once", id)
					}
					delete(in, id)
				}
			}
			for _, id := range rapid.SliceOfNDistinct(id, 0, 30, rapid.ID).Draw(t, "joining") {
				if top.Add(id) == in[id] || !top.Has(id) || top.Add(id) {
					t.Fatalf("%q did not join once", id)
				}
				in[id] = true
			}
			check(t, top, size, in)
		}
	})
}

func check(t *rapid.T, top *Topology, size int, in map[string]bool) {
	want := restate(size, sortedKeys(in))
	equal(t, "ids", top.IDs(), want.roster)
	equal(t, "numbers", []int{top.Size(), top.Len(), top.Cells(), top.TTL()}, []int{size, len(in), want.cells, want.ttl()})
	known := 0
	for c := range want.cells {
		equal(t, "members", top.Members(c), want.members[c])
		equal(t, "bridge", top.Bridge(c), want.bridge[c])
		equal(t, "neighbours", top.Neighbours(c), want.neighbours(c))
		if len(want.members[c]) > 0 {
			known++
		}
	}
	equal(t, "known", top.Known(), known)
	for _, id := range want.roster {
		equal(t, "cell", top.Cell(id), want.cell[id])
		var bridges []string
		for _, c := range want.lists[id] {
			bridges = append(bridges, Name(c))
		}
		equal(t, "bridges of "+id, top.Bridges(id), bridges)
		equal(t, "bridge", top.IsBridge(id), bridges != nil)
	}
	// Roles, of some peers if there are many.
	roles := map[string]*Role{}
	for i := 0; i < len(want.roster); i += 1 + len(want.roster)/20 {
		id := want.roster[i]
		r := top.Role(id)
		roles[id] = r
		own := want.cell[id]
		equal(t, "role", []int{r.Cell, r.Cells, r.TTL}, []int{own, want.cells, want.ttl()})
		equal(t, "role's bridge", r.Bridge, want.lists[id] != nil)
		equal(t, "links", r.Links, want.links(id))
		channels := []int{own}
		if r.Bridge {
			channels = append(channels, want.neighbours(own)...)
			equal(t, "role's neighbours", r.Neighbours, want.neighbours(own))
		} else {
			equal(t, "role's neighbours", r.Neighbours, nil)
		}
		for _, c := range channels {
			equal(t, "audience", slices.SortedFunc(slices.Values(r.Audience[c]), byUnits), want.audience(c, id))
		}
		equal(t, "audiences", len(r.Audience), len(channels))
	}
	for a, ra := range roles {
		for b, rb := range roles {
			if ra.Keeps(b) != rb.Keeps(a) || ra.Keeps(b) != slices.Contains(ra.Links, b) {
				t.Fatalf("%q keeps %q: %v, the other way %v", a, b, ra.Keeps(b), rb.Keeps(a))
			}
		}
	}
}

func equal[T any](t *rapid.T, what string, got, want T) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: %s, want %s", what, g, w)
	}
}

// Which of two equally ranked members is the bridge does not depend on who came first.
func TestBridgeOfEqualRank(t *testing.T) {
	lower, higher := twins(t)
	for _, order := range [][]string{{lower, higher}, {higher, lower}} {
		top := New(1, "x", "y")
		for _, id := range order {
			top.Add(id)
		}
		c := top.Cell(lower)
		for _, id := range []string{"x", "y"} {
			if top.Cell(id) == c {
				top.Remove(id) // it may rank higher
				c = top.Cell(lower)
			}
		}
		if top.Cell(higher) != c || top.Bridge(c) != lower {
			t.Errorf("%q: %q is the bridge", order, top.Bridge(c))
		}
	}
}

func TestEmptyTopology(t *testing.T) {
	for _, top := range []*Topology{New(0), New(-1), func() *Topology { t := New(DefaultSize, "a"); t.Remove("a"); return t }()} {
		if top.Size() != DefaultSize || top.Len() != 0 || top.Cells() != 1 || top.Known() != 0 || top.TTL() != 5 {
			t.Errorf("%+v", top)
		}
		if top.Bridge(0) != "" || top.Members(0) != nil && len(top.Members(0)) > 0 || len(top.Neighbours(0)) > 0 || len(top.IDs()) > 0 {
			t.Errorf("%+v", top)
		}
		if top.Has("a") || top.Cell("a") != -1 || top.IsBridge("a") || top.Bridges("a") != nil || top.Role("a") != nil || top.Remove("a") {
			t.Error("who is not in it is somebody")
		}
		for _, c := range []int{-1, 1} {
			if top.Bridge(c) != "" || top.Members(c) != nil || top.Neighbours(c) != nil {
				t.Errorf("cell %d is something", c)
			}
		}
	}
	if (*Role)(nil).Keeps("a") {
		t.Error("no role keeps somebody")
	}
}

// Ids that come twice count once.
func TestNewTwice(t *testing.T) {
	if top := New(1, "a", "b", "a"); top.Len() != 2 || top.Cells() != 2 {
		t.Errorf("%d peers, %d cells", top.Len(), top.Cells())
	}
}

// A role stays what it was when the topology changes.
func TestRoleIsACopy(t *testing.T) {
	list := ids(100)
	top := New(3, list...)
	for _, id := range list {
		r := top.Role(id)
		was := fmt.Sprint(r)
		for _, other := range list {
			top.Remove(other)
		}
		if now := fmt.Sprint(r); now != was {
			t.Fatalf("%s, was %s", now, was)
		}
		for _, other := range list {
			top.Add(other)
		}
	}
}

func TestTopologyMemory(t *testing.T) {
	const peers, most = 10_000, 3 << 20
	list := ids(peers)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	top := New(DefaultSize)
	for _, id := range list {
		top.Add(id)
	}
	after := heap()
	t.Logf("%d bytes for %d peers", after-before, top.Len())
	if after > before+most {
		t.Errorf("%d bytes", after-before)
	}
	runtime.KeepAlive(list)
}

// A room grows by a tenth, so the number of cells by a tenth too.
func benchmarkJoin(b *testing.B, n int) {
	list := ids(n + n/10)
	for b.Loop() {
		b.StopTimer()
		t := New(DefaultSize, list[:n]...)
		b.StartTimer()
		for _, id := range list[n:] {
			t.Add(id)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n/10), "µs/join")
}

func BenchmarkJoin10000(b *testing.B)  { benchmarkJoin(b, 10_000) }
func BenchmarkJoin100000(b *testing.B) { benchmarkJoin(b, 100_000) }

// One comes and another goes: at the worst, when each of them changes the number of cells.
func benchmarkChurn(b *testing.B, n int) {
	list := ids(2 * n)
	t := New(DefaultSize, list[:n]...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t.Add(list[(n+i)%len(list)])
		t.Remove(list[i%len(list)])
	}
}

func BenchmarkChurn10000(b *testing.B)      { benchmarkChurn(b, 10_000-5) }
func BenchmarkChurn10000Worst(b *testing.B) { benchmarkChurn(b, 10_000) }

func BenchmarkRole10000(b *testing.B) {
	list := ids(10_000)
	t := New(DefaultSize, list...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t.Role(list[i%len(list)])
	}
}
