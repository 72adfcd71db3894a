package graph

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// vectors are what pages with GenosDB 0.25.0 sent each other on syncGraph, and what one
// of them sent and knew after it was asked and told all kinds of things.
//
//go:embed testdata/vectors.json
var vectors []byte

type recordedNode struct {
	ID        string          `json:"id"`
	Value     json.RawMessage `json:"value"`
	Edges     []string        `json:"edges"`
	Timestamp Timestamp       `json:"timestamp"`
}

func loadVectors(t testing.TB) (v struct {
	Session []struct {
		From    string
		Message json.RawMessage
	}
	Probes []struct {
		Step       string
		Sent       json.RawMessage
		Replies    []json.RawMessage
		NodesAfter map[string]*recordedNode
	}
}) {
	t.Helper()
	if err := json.Unmarshal(vectors, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Told the same, a replica knows the same as the page did.
func TestRecordedProbes(t *testing.T) {
	v := loadVectors(t)
	now := time.UnixMilli(1795351458000)
	s := newTable(func() time.Time { return now })
	r := NewReplica(s, Timestamp{})
	for _, probe := range v.Probes {
		if probe.Step == "sync null" {
			receive(t, r, now, probe.Replies[0]) // what the page had before
		}
		if string(probe.Sent) != "null" {
			if probe.Step == "upsert future 5h" {
				now = time.UnixMilli(1795358657267).Add(-MaxAhead)
			}
			receive(t, r, now, probe.Sent)
			now = time.UnixMilli(1795351458000)
		}
		for id, want := range probe.NodesAfter {
			e, known := s.entries[id]
			if want == nil {
				if known && !e.Removed {
					t.Errorf("%s: %s is not removed", probe.Step, id)
				}
				continue
			}
			if probe.Step == "upsert equal ts" {
				want.Value = json.RawMessage(`{"a":99}`) // the greater value, where pages keep the first
			}
			if probe.Step == "link to missing" {
				// Pages refuse it. Here the target may still be under way.
				want.Edges, want.Timestamp = []string{"n1", "zzz"}, e.Timestamp
			}
			if got := (recordedNode{id, e.Value, e.Edges, e.Timestamp}); !same(got, *want) {
				t.Errorf("%s: %s, want %s", probe.Step, text(got), text(*want))
			}
		}
	}

	// What the page knew at the end, it told.
	last := v.Probes[len(v.Probes)-1]
	m, err := Decode(last.Replies[0])
	if err != nil || m.Full == nil || m.Bad != 0 {
		t.Fatal(m, err)
	}
	if m.Full.Timestamp != r.Last() {
		t.Errorf("last is %v, want %v", r.Last(), m.Full.Timestamp)
	}
	for _, want := range m.Full.Nodes {
		e := s.entries[want.ID]
		if want.ID == "f1" {
			want.Edges, want.Timestamp = e.Edges, e.Timestamp // "link to missing", above
		}
		if !same(recordedNode{e.ID, e.Value, e.Edges, e.Timestamp}, recordedNode{want.ID, want.Value, want.Edges, want.Timestamp}) {
			t.Errorf("%v, want %v", text(e), text(want))
		}
	}
	for _, op := range m.Full.Removals {
		if e := s.entries[op.ID]; e.Timestamp.Compare(op.Timestamp) < 0 {
			t.Errorf("the removal of %s is not known", op.ID)
		}
	}
	// The page lacks nothing but what it refused.
	if a, err := Against(s.scan, s.Entry, m.Full); err != nil || len(a.items) != 1 || a.items[0].id != "f1" {
		t.Errorf("the page lacks %v, %v", a.items, err)
	}
}

func same(a, b recordedNode) bool {
	if len(a.Edges)+len(b.Edges) == 0 {
		a.Edges, b.Edges = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// What was recorded of live operations is encoded to the same bytes.
func TestRecordedMessages(t *testing.T) {
	v := loadVectors(t)
	for _, recorded := range v.Session {
		m, err := Decode(recorded.Message)
		if err != nil || m.Bad != 0 {
			t.Fatal(m, err)
		}
		var got []byte
		switch {
		case m.Asked != nil:
			got = EncodeSync(*m.Asked)
		case m.Full != nil:
			s := newTable(time.Now)
			r := NewReplica(s, Timestamp{})
			receive(t, r, time.Now(), recorded.Message)
			a, err := NewAnswer(s.scan, s.Entry, Asker{})
			if err != nil {
				t.Fatal(err)
			}
			got = a.Whole(r.Last())
		default:
			got = Encode(m.Ops...)
		}
		if string(got) != string(recorded.Message) {
			t.Errorf("%s\nwant %s", got, recorded.Message)
		}
	}
}
