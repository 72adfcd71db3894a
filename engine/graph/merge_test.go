package graph

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

var errFull = errors.New("full")

// bounded is a table that takes no new nodes.
type bounded struct{ *table }

func (b bounded) Set(e Entry) error {
	if _, known, _ := b.Entry(e.ID); !known && !e.Removed {
		return errFull
	}
	return b.table.Set(e)
}

// A node that cannot be kept keeps nothing else of the same state out.
func TestMergeGoesOn(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	at := func(n uint64) Timestamp { return Timestamp{Physical: now.UnixMilli(), Logical: n} }
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	for _, id := range []string{"b", "c"} {
		if _, err := r.Put(id, json.RawMessage("1"), now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := NewReplica(bounded{s}, r.Last()).Merge(&FullState{
		Nodes:    []Entry{{ID: "a", Value: json.RawMessage("2"), Timestamp: at(10)}, {ID: "b", Value: json.RawMessage("2"), Timestamp: at(11)}},
		Removals: []Op{{Kind: Remove, ID: "c", Timestamp: at(12)}},
	}, now)
	b, _, _ := s.Entry("b")
	c, _, _ := s.Entry("c")
	if !errors.Is(err, errFull) || string(b.Value) != "2" || !c.Removed {
		t.Errorf("b is %s, c removed %v: %v", b.Value, c.Removed, err)
	}
}
