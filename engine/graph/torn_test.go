package graph

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTorn(t *testing.T) {
	now := time.UnixMilli(100)
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	for _, op := range []Op{
		{Kind: Upsert, ID: "a", Value: []byte("1"), Timestamp: Timestamp{9, 1}},
		{Kind: Upsert, ID: "b", Value: []byte("1"), Timestamp: Timestamp{9, 2}},
		{Kind: Upsert, ID: "c", Value: []byte("1"), Timestamp: Timestamp{9, 3}},
		{Kind: Link, ID: "a", Target: "b", Timestamp: Timestamp{9, 4}},
		{Kind: Link, ID: "a", Target: "c", Timestamp: Timestamp{9, 5}},
		{Kind: Link, ID: "b", Target: "gone", Timestamp: Timestamp{9, 6}},
	} {
		if _, err := r.Apply(op, now, true); err != nil {
			t.Fatal(err)
		}
	}
	node := func(id string, logical uint64) Op { return Op{Kind: Upsert, ID: id, Timestamp: Timestamp{9, logical}} }
	link := func(id, target string, logical uint64) Op {
		return Op{Kind: Link, ID: id, Target: target, Timestamp: Timestamp{9, logical}}
	}
	for _, c := range []struct {
		name string
		said Message
		want string
	}{
		{"nothing", Message{}, ""},
		{"with all its edges", Message{Delta: []Op{node("a", 1), node("b", 2), node("c", 3), link("a", "b", 4), link("a", "c", 5)}}, ""},
		{"from a full state", Message{Delta: []Op{node("a", 5), node("b", 6)}}, "a"},
		{"of one edge the target is beyond the log", Message{Delta: []Op{node("a", 1), node("c", 3), link("a", "b", 4), link("a", "c", 5)}}, "a"},
		{"of both: what is older can be mended", Message{Delta: []Op{node("a", 1), link("a", "b", 4), link("a", "c", 5)}}, ""},
		{"the node is older", Message{Delta: []Op{node("a", 1)}}, ""},
		{"the node is newer", Message{Delta: []Op{node("a", 9)}}, ""},
		{"it was removed", Message{Delta: []Op{node("a", 5), {Kind: Remove, ID: "a", Timestamp: Timestamp{9, 6}}}}, ""},
		{"a full state without edges", Message{Full: &FullState{Nodes: []Entry{{ID: "a", Timestamp: Timestamp{9, 5}, Edges: []string{"c"}}}}}, "a"},
		{"a full state", Message{Full: &FullState{Nodes: []Entry{{ID: "a", Timestamp: Timestamp{9, 5}, Edges: []string{"c", "b"}}}}}, ""},
	} {
		got, err := r.Torn(&c.said, now)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}

	ops, err := r.Again("a")
	if err != nil || s.entries["a"].Timestamp != (Timestamp{9, 8}) || r.Last() != (Timestamp{9, 8}) {
		t.Fatalf("%+v, %v", s.entries["a"], err)
	}
	v := page()
	for _, op := range []Op{node("a", 5), node("b", 6), node("c", 3)} {
		op.Value = []byte("0")
		v.receive(Encode(op))
	}
	v.receive(Delta(Encode(ops...)))
	if n := v.nodes["a"]; !slices.Equal(n.Edges, []string{"b", "c"}) || string(n.Value) != "1" {
		t.Errorf("a torn page has %+v", n)
	}
	for _, id := range []string{"gone", "never"} {
		if ops, err := r.Again(id); err != nil || ops != nil {
			t.Errorf("%s: %v, %v", id, ops, err)
		}
	}
}
