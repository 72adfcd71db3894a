package graph

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// varied is a graph whose nodes have edges of all kinds: to older and newer nodes, to
// themselves, to many, from many, to removed and to unknown ones.
func varied(t testing.TB) (*table, *Replica) {
	now := begin()
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	put := func(id string) {
		now = now.Add(time.Millisecond)
		if _, err := r.Put(id, raw(fmt.Sprintf(`{"id":%q}`, id)), now); err != nil {
			t.Fatal(err)
		}
	}
	link := func(source, target string) {
		if _, err := r.Link(source, target, now); err != nil {
			t.Fatal(err)
		}
	}
	const n = 2*manyLinks + 50
	for i := range n {
		put(fmt.Sprint("n", i))
	}
	put("hub")
	put("gone")
	for i := range n {
		id := fmt.Sprint("n", i)
		link(id, "hub")
		if i%7 == 0 {
			link("hub", id)
			link(id, id)
			link(id, fmt.Sprint("n", (i*31+5)%n))
			link(id, "gone")
		}
	}
	put("gone")
	for i := range n / 3 {
		put(fmt.Sprint("n", 3*i)) // newer than what leads to it
	}
	put("hub")
	if _, err := r.Remove("gone", now); err != nil {
		t.Fatal(err)
	}
	receive(t, r, now, []byte(`[{"type":"upsert","id":"untimed","value":1},{"type":"upsert","id":"old","value":1,"timestamp":{"physical":0,"logical":1}}]`))
	receive(t, r, now, []byte(`[{"type":"fullStateSync","graphData":{"ancient":{"id":"ancient","value":1,"edges":["hub","n1"],"timestamp":{"physical":0,"logical":2}}}}]`))
	return s, r
}

func collect(t testing.TB, a *Answer, limit int) (all [][]byte) {
	t.Helper()
	for b, err := range a.Batches(limit) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// page is an empty page with no log to speak of.
func page() *vanilla { return newVanilla(10, begin) }

// complete compares a page with a graph.
func complete(t *testing.T, v *vanilla, s *table) {
	t.Helper()
	n := 0
	for id, e := range s.entries {
		if e.Removed {
			continue
		}
		n++
		got := v.nodes[id]
		if got == nil {
			t.Fatalf("%s is missing", id)
		}
		edges := 0
		for _, target := range e.Edges {
			if !s.entries[target].Removed {
				edges++
			}
		}
		if string(got.Value) != string(e.Value) || len(got.Edges) != edges || *got.Timestamp != e.Timestamp && e.Timestamp.Physical > 0 {
			t.Fatalf("%s is %v, want %+v", id, text(got), e)
		}
	}
	if n != len(v.nodes) {
		t.Fatalf("%d nodes, want %d", len(v.nodes), n)
	}
}

func TestWhole(t *testing.T) {
	s, r := varied(t)
	delete(s.entries, "untimed") // the page of this test has no such
	a, err := NewAnswer(s.scan, s.Entry, Asker{})
	if err != nil {
		t.Fatal(err)
	}
	v := page()
	v.receive(a.Whole(r.Last()))
	complete(t, v, s)
}

func TestBatches(t *testing.T) {
	s, _ := varied(t)
	delete(s.entries, "untimed")
	for _, limit := range []int{1, 1000, 1 << 20} {
		a, err := NewAnswer(s.scan, s.Entry, Asker{})
		if err != nil {
			t.Fatal(err)
		}
		v := page()
		for _, b := range collect(t, a, limit) {
			if len(b) > limit+manyLinks*200 {
				t.Errorf("%d bytes, limit %d", len(b), limit)
			}
			v.receive(b)
		}
		complete(t, v, s)
	}
}

// Wherever a page is interrupted, it lacks nothing once it has got what it lacks by its
// own word.
func TestInterruptedBatches(t *testing.T) {
	s, _ := varied(t)
	delete(s.entries, "untimed")
	proof := Asker{Before: 1 << 62}
	a, err := NewAnswer(s.scan, s.Entry, proof)
	if err != nil {
		t.Fatal(err)
	}
	all := collect(t, a, 1)
	// Let the order of arrival say nothing.
	for id, e := range s.entries {
		e.Seq = 1
		if e.Timestamp.Physical > begin().UnixMilli()+100 {
			e.Seq += 2 * uint64(window.Microseconds())
		}
		s.entries[id] = e
	}
	known := 0
	for n := 0; n < len(all); n += 29 {
		v := page()
		for _, b := range all[:n] {
			v.receive(b)
		}
		proof.Asked = v.g
		a, err := NewAnswer(s.scan, s.Entry, proof)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.items) < len(s.entries) {
			known++
		}
		for _, b := range collect(t, a, 300) {
			v.receive(b)
		}
		complete(t, v, s)
	}
	if known == 0 {
		t.Error("it was everything each time")
	}
}

func TestWhatIsLacked(t *testing.T) {
	now := begin()
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	put := func(id string) (Timestamp, uint64) {
		op, err := r.Put(id, raw("1"), now)
		if err != nil {
			t.Fatal(err)
		}
		return op.Timestamp, s.seq
	}
	put("first")
	now = now.Add(time.Hour)
	met, seq := put("second")
	now = now.Add(time.Hour)
	// One comes late that is older than all.
	receive(t, r, now, []byte(`[{"type":"deltaSync","operations":[{"type":"upsert","id":"late","value":1,"timestamp":{"physical":5,"logical":5}}]}]`))
	put("third")
	if _, err := r.Remove("third", now); err != nil {
		t.Fatal(err)
	}
	put("fourth")
	if _, err := r.Link("first", "fourth", now); err != nil {
		t.Fatal(err)
	}
	e := s.entries["first"]
	e.Timestamp, e.Seq = Timestamp{1, 1}, 1 // a link that came to them before its target
	s.entries["first"] = e

	for _, c := range []struct {
		name  string
		asker Asker
		want  string
	}{
		{"everything", Asker{}, "first late second third fourth"},
		{"by an unknown time", Asker{Asked: Timestamp{5, 4}, Before: 1 << 62}, "first late second third fourth"},
		{"by a time that came in an answer", Asker{Asked: Timestamp{5, 5}, Before: 1 << 62}, "first late second third fourth"},
		{"by a time that may be hearsay", Asker{Asked: met, Before: seq}, "first late second third fourth"},
		{"by a time", Asker{Asked: met, Before: seq + 1}, "first late second third fourth"},
		{"by what it had", Asker{Asked: r.Last(), Had: seq}, "first late second third fourth"},
		{"by what it had, nothing new", Asker{Asked: r.Last().next(now), Had: s.seq + uint64(window.Microseconds())}, ""},
	} {
		a, err := NewAnswer(s.scan, s.Entry, c.asker)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, it := range a.items {
			ids = append(ids, it.id)
		}
		if got := strings.Join(ids, " "); got != c.want || a.Empty() != (c.want == "") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// What changes while a large answer is under way goes last.
func TestChangesMeanwhile(t *testing.T) {
	s, r := varied(t)
	delete(s.entries, "untimed")
	a, err := NewAnswer(s.scan, s.Entry, Asker{})
	if err != nil {
		t.Fatal(err)
	}
	a.values = nil // as if they were too many
	v := page()
	n := 0
	for b, err := range a.Batches(5000) {
		if err != nil {
			t.Fatal(err)
		}
		v.receive(b)
		if n++; n == 2 {
			for i := range 50 {
				if _, err := r.Put(fmt.Sprint("n", i*9), raw(`"changed"`), begin().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			for _, id := range []string{"n8", "n200", "hub"} {
				op, err := r.Remove(id, begin().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				v.receive(Encode(op))
			}
		}
	}
	for id, n := range v.nodes {
		if e := s.entries[id]; e.Removed || *n.Timestamp != e.Timestamp && e.Timestamp.Physical > 0 {
			t.Errorf("%s is %s, want %+v", id, text(n), e)
		}
	}

	a.fetch = func(string) (Entry, bool, error) { return Entry{}, false, errBroken }
	for _, err := range a.Batches(100) {
		if !errors.Is(err, errBroken) {
			t.Error(err)
		}
	}
}

func TestAgainst(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{})
	receive(t, r, begin(), []byte(`[
		{"type":"upsert","id":"lacked","value":1,"timestamp":{"physical":9,"logical":1}},
		{"type":"upsert","id":"same","value":1,"timestamp":{"physical":9,"logical":2}},
		{"type":"upsert","id":"older","value":1,"timestamp":{"physical":9,"logical":3}},
		{"type":"remove","id":"removed","timestamp":{"physical":9,"logical":4}},
		{"type":"remove","id":"unknown there","timestamp":{"physical":9,"logical":5}}]`))
	m, err := Decode([]byte(`[{"type":"fullStateSync","graphData":{
		"same":{"id":"same","value":1,"timestamp":{"physical":9,"logical":2}},
		"older":{"id":"older","value":0,"timestamp":{"physical":9,"logical":1}},
		"removed":{"id":"removed","value":0,"timestamp":{"physical":9,"logical":1}}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Against(s.scan, s.Entry, m.Full)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"type":"upsert","id":"lacked","value":1,"timestamp":{"physical":9,"logical":1}},` +
		`{"type":"upsert","id":"older","value":1,"timestamp":{"physical":9,"logical":3}},` +
		`{"type":"remove","id":"removed","timestamp":{"physical":9,"logical":4}}]`
	if got := collect(t, a, 1<<20); len(got) != 1 || string(got[0]) != want {
		t.Errorf("%s", got)
	}
}

// The example of docs/protocol.md.
func TestPartsOfANode(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{})
	receive(t, r, begin(), []byte(`[{"type":"fullStateSync","graphData":{
		"a":{"id":"a","value":1,"edges":["b","c"],"timestamp":{"physical":9,"logical":7}},
		"b":{"id":"b","value":1,"timestamp":{"physical":9,"logical":3}},
		"c":{"id":"c","value":1,"timestamp":{"physical":9,"logical":8}}}}]`))
	a, err := NewAnswer(s.scan, s.Entry, Asker{})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"type":"upsert","id":"b","value":1,"timestamp":{"physical":9,"logical":3}},` +
		`{"type":"upsert","id":"a","value":1,"timestamp":{"physical":9,"logical":4}},` +
		`{"type":"link","sourceId":"a","targetId":"b","timestamp":{"physical":9,"logical":5}},` +
		`{"type":"upsert","id":"c","value":1,"timestamp":{"physical":9,"logical":8}},` +
		`{"type":"link","sourceId":"a","targetId":"c","timestamp":{"physical":9,"logical":7}}]`
	if got := collect(t, a, 1<<20); len(got) != 1 || string(got[0]) != want {
		t.Errorf("%s", got)
	}
}
