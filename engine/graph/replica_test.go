package graph

import (
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	at := func(logical uint64) Timestamp { return Timestamp{begin().UnixMilli(), logical} }
	put := func(id, value string, logical uint64) Op {
		return Op{Kind: Upsert, ID: id, Value: raw(value), Timestamp: at(logical)}
	}
	remove := func(id string, logical uint64) Op { return Op{Kind: Remove, ID: id, Timestamp: at(logical)} }
	link := func(id, target string, logical uint64) Op {
		return Op{Kind: Link, ID: id, Target: target, Timestamp: at(logical)}
	}
	signed := func(op Op) Op { op.Extra = raw(`{"sig":1}`); return op }
	node := func(value string, logical uint64, edges ...string) Entry {
		return Entry{ID: "a", Value: raw(value), Edges: edges, Timestamp: at(logical), Live: true}
	}
	for _, c := range []struct {
		name    string
		ops     []Op
		outcome Outcome
		want    Entry
	}{
		{"put", []Op{put("a", "1", 1)}, Applied, node("1", 1)},
		{"a newer one", []Op{put("a", "1", 1), put("a", "2", 2)}, Applied, node("2", 2)},
		{"an older one", []Op{put("a", "2", 2), put("a", "1", 1)}, Stale, node("2", 2)},
		{"the same again", []Op{put("a", "1", 1), put("a", "1", 1)}, Stale, node("1", 1)},
		{"the greater of two at one time", []Op{put("a", "1", 1), put("a", "2", 1)}, Applied, node("2", 1)},
		{"the lesser of two at one time", []Op{put("a", "2", 1), put("a", "1", 1)}, Stale, node("2", 1)},
		{"without timestamp", []Op{{Kind: Upsert, ID: "a", Value: raw("1")}}, Applied, Entry{ID: "a", Value: raw("1"), Live: true}},
		{"without timestamp, of one that is there", []Op{put("a", "1", 1), {Kind: Upsert, ID: "a", Value: raw("2")}}, Stale, node("1", 1)},
		{"a put keeps edges", []Op{put("a", "1", 1), link("a", "b", 2), put("a", "2", 3)}, Applied, node("2", 3, "b")},
		{"edges once", []Op{put("a", "1", 1), link("a", "b", 2), link("a", "b", 3)}, Applied, node("1", 3, "b")},
		{"an old link again", []Op{put("a", "1", 1), link("a", "b", 2), put("a", "2", 3), link("a", "b", 2)}, Stale, node("2", 3, "b")},
		{"a link that crossed a put", []Op{put("a", "1", 1), put("a", "2", 3), link("a", "b", 2)}, Applied, node("2", 3, "b")},
		{"a link to itself", []Op{put("a", "1", 1), link("a", "a", 2)}, Applied, node("1", 2, "a")},
		{"a link of an unknown node", []Op{link("a", "b", 2)}, Missing, Entry{}},
		{"remove", []Op{put("a", "1", 1), link("a", "b", 2), remove("a", 3)}, Applied, Entry{ID: "a", Removed: true, Timestamp: at(3), Live: true}},
		{"an older removal", []Op{put("a", "1", 2), remove("a", 1)}, Stale, node("1", 2)},
		{"a removal at the same time", []Op{put("a", "1", 2), remove("a", 2)}, Stale, node("1", 2)},
		{"a removal before the put", []Op{remove("a", 2), put("a", "1", 1)}, Buried, Entry{ID: "a", Removed: true, Timestamp: at(2), Live: true}},
		{"a removal without timestamp", []Op{{Kind: Remove, ID: "a"}}, Missing, Entry{}},
		{"put again", []Op{put("a", "1", 1), link("a", "b", 2), remove("a", 3), put("a", "2", 4)}, Applied, node("2", 4)},
		{"a link of a removed node", []Op{put("a", "1", 1), remove("a", 2), link("a", "b", 5)}, Buried, Entry{ID: "a", Removed: true, Timestamp: at(6), Live: true}},
		{"an older link of a removed node", []Op{put("a", "1", 1), remove("a", 3), link("a", "b", 2)}, Missing, Entry{ID: "a", Removed: true, Timestamp: at(3), Live: true}},
		{"unknown fields stay with the value", []Op{signed(put("a", "1", 1)), link("a", "b", 2)}, Applied,
			func() Entry { e := node("1", 2, "b"); e.Extra = raw(`{"sig":1}`); return e }()},
		{"and go with it", []Op{signed(put("a", "1", 1)), put("a", "2", 2)}, Applied, node("2", 2)},
		{"no operation", []Op{{ID: "a"}}, Missing, Entry{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTable(begin)
			r := NewReplica(s, Timestamp{})
			var outcome Outcome
			for _, op := range c.ops {
				var err error
				if outcome, err = r.Apply(op, begin(), true); err != nil {
					t.Fatal(err)
				}
			}
			got := s.entries["a"]
			got.Seq = 0
			if outcome != c.outcome || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%d, %+v, want %d, %+v", outcome, got, c.outcome, c.want)
			}
			if r.Last() != c.want.Timestamp {
				t.Errorf("last is %v", r.Last())
			}
		})
	}
}

// In an answer an old link may be of an earlier node of the same id.
func TestOldLinksOfAnAnswer(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{})
	receive(t, r, begin(), []byte(`[{"type":"upsert","id":"a","value":1,"timestamp":{"physical":9,"logical":9}}]`))
	receive(t, r, begin(), []byte(`[{"type":"deltaSync","operations":[{"type":"link","sourceId":"a","targetId":"b","timestamp":{"physical":9,"logical":5}}]}]`))
	if e := s.entries["a"]; len(e.Edges) != 0 {
		t.Errorf("%+v", e)
	}
}

func TestMerge(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{})
	receive(t, r, begin(), []byte(`[
		{"type":"upsert","id":"newer here","value":1,"timestamp":{"physical":9,"logical":1}},
		{"type":"upsert","id":"newer there","value":1,"timestamp":{"physical":1,"logical":1}},
		{"type":"link","sourceId":"newer there","targetId":"x","timestamp":{"physical":1,"logical":2}},
		{"type":"upsert","id":"put again","value":1,"timestamp":{"physical":1,"logical":3}},
		{"type":"link","sourceId":"put again","targetId":"x","timestamp":{"physical":1,"logical":4}},
		{"type":"remove","id":"buried","timestamp":{"physical":9,"logical":2},"sig":1},
		{"type":"upsert","id":"removed","value":1,"timestamp":{"physical":1,"logical":5}}]`))
	_, buried := receive(t, r, begin(), []byte(`[{"type":"fullStateSync","graphData":{
		"newer here":{"id":"newer here","value":2,"edges":["y"],"timestamp":{"physical":8,"logical":1}},
		"newer there":{"id":"newer there","value":2,"edges":["y"],"timestamp":{"physical":8,"logical":2}},
		"put again":{"id":"put again","value":2,"edges":["y"],"timestamp":{"physical":8,"logical":3}},
		"buried":{"id":"buried","value":2,"timestamp":{"physical":8,"logical":4}},
		"untimed":{"id":"untimed","value":2}},
		"removals":[{"type":"remove","id":"removed","timestamp":{"physical":8,"logical":5}},
			{"type":"remove","id":"put again","timestamp":{"physical":2,"logical":1}}]}]`))
	if got, want := string(Encode(buried...)), `[{"type":"remove","id":"buried","timestamp":{"physical":9,"logical":2},"sig":1}]`; got != want {
		t.Errorf("buried %s", got)
	}
	if r.Last() != (Timestamp{9, 2}) {
		t.Errorf("last is %v", r.Last())
	}
	for id, want := range map[string]Entry{
		"newer here":  {Value: raw("1"), Timestamp: Timestamp{9, 1}, Live: true},
		"newer there": {Value: raw("2"), Edges: []string{"y", "x"}, Timestamp: Timestamp{8, 2}},
		"put again":   {Value: raw("2"), Edges: []string{"y"}, Timestamp: Timestamp{8, 3}},
		"buried":      {Removed: true, Timestamp: Timestamp{9, 2}, Extra: raw(`{"sig":1}`), Live: true},
		"removed":     {Removed: true, Timestamp: Timestamp{8, 5}},
		"untimed":     {Value: raw("2")},
	} {
		got := s.entries[id]
		got.Seq, want.ID = 0, id
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestClock(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{begin().UnixMilli() + 1000, 7})
	op, err := r.Put("a", raw("1"), begin())
	if want := (Timestamp{begin().UnixMilli() + 1000, 8}); err != nil || op.Timestamp != want {
		t.Errorf("%v, %v, want %v", op.Timestamp, err, want)
	}
	later := begin().Add(time.Minute)
	op, err = r.Link("a", "a", later)
	if want := (Timestamp{later.UnixMilli(), 9}); err != nil || op.Timestamp != want {
		t.Errorf("%v, %v, want %v", op.Timestamp, err, want)
	}
	// Others' clocks count up to a bound.
	if _, err := r.Apply(Op{Kind: Upsert, ID: "b", Value: raw("1"), Timestamp: Timestamp{maxInteger, maxInteger}}, later, true); err != nil {
		t.Fatal(err)
	}
	ahead := later.Add(MaxAhead).UnixMilli()
	if want := (Timestamp{ahead, maxInteger}); r.Last() != want {
		t.Errorf("%v, want %v", r.Last(), want)
	}
	op, err = r.Remove("b", later)
	if want := (Timestamp{ahead + 1, 0}); err != nil || op.Timestamp != want || !s.entries["b"].Removed {
		t.Errorf("%v, %v, want %v", op.Timestamp, err, want)
	}
	for _, err := range []error{
		func() error { _, err := r.Remove("b", later); return err }(),
		func() error { _, err := r.Link("b", "a", later); return err }(),
		func() error { _, err := r.Link("a", "b", later); return err }(),
	} {
		if !errors.Is(err, ErrMissing) {
			t.Error(err)
		}
	}
}

// broken is a Store whose disk is.
type broken struct{ *table }

var errBroken = errors.New("broken")

func (broken) Set(Entry) error { return errBroken }

func TestBrokenStore(t *testing.T) {
	r := NewReplica(broken{newTable(begin)}, Timestamp{})
	if _, err := r.Put("a", raw("1"), begin()); !errors.Is(err, errBroken) || !r.Last().IsZero() {
		t.Error(err, r.Last())
	}
}

// A node takes no more links than it can be written with, and nothing else suffers.
func TestMaxEdges(t *testing.T) {
	s := newTable(begin)
	r := NewReplica(s, Timestamp{})
	full := Entry{ID: "hub", Value: raw("1"), Timestamp: Timestamp{1, 1}}
	for n := range MaxEdges {
		full.Edges = append(full.Edges, strconv.Itoa(n))
	}
	s.Set(full)
	if _, err := r.Put("node", raw("1"), begin()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Link("hub", "node", begin()); !errors.Is(err, ErrEdges) {
		t.Errorf("one edge too many: %v", err)
	}
	if _, err := r.Put("hub", raw("2"), begin()); err != nil {
		t.Error(err)
	}
	if _, err := r.Link("node", "hub", begin()); err != nil {
		t.Error(err)
	}
}
