package graph

import (
	"maps"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is a Store in memory. Its Seq is the time in microseconds, as that of a disk.
type table struct {
	entries map[string]Entry
	now     func() time.Time
	seq     uint64
}

// begin is a time to begin at.
func begin() time.Time { return time.UnixMilli(1795351032125) }

func newTable(now func() time.Time) *table {
	return &table{entries: make(map[string]Entry), now: now}
}

func (s *table) Entry(id string) (Entry, bool, error) {
	e, ok := s.entries[id]
	return e, ok, nil
}

func (s *table) Set(e Entry) error {
	s.seq = max(s.seq+1, uint64(s.now().UnixMicro()))
	e.Seq = s.seq
	s.entries[e.ID] = e
	return nil
}

func (s *table) scan(yield func(Entry) bool) error {
	for _, id := range slices.Sorted(maps.Keys(s.entries)) {
		if !yield(s.entries[id]) {
			break
		}
	}
	return nil
}

// receive does what a message asks for, but answers nothing.
func receive(t testing.TB, r *Replica, now time.Time, message []byte) (m Message, buried []Op) {
	t.Helper()
	m, err := Decode(message)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range m.Ops {
		if _, err := r.Apply(op, now, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, op := range m.Delta {
		if _, err := r.Apply(op, now, false); err != nil {
			t.Fatal(err)
		}
	}
	if m.Full != nil {
		if buried, err = r.Merge(m.Full, now); err != nil {
			t.Fatal(err)
		}
	}
	return m, buried
}
