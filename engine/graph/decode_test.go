package graph

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	stamp := Timestamp{5, 6}
	const timed = `"timestamp":{"physical":5,"logical":6}`
	long := strings.Repeat("x", MaxID+1)
	for _, c := range []struct {
		name, in string
		want     Message
	}{
		{"nothing", `[]`, Message{}},
		{"one object", `{"type":"sync","timestamp":null}`, Message{Asked: &Timestamp{}}},
		{"sync", `[{"type":"sync",` + timed + `}]`, Message{Asked: &stamp}},
		{"sync without timestamp", `[{"type":"sync"}]`, Message{Asked: &Timestamp{}}},
		{"two syncs ask for the more", `[{"type":"sync",` + timed + `},{"type":"sync","timestamp":null}]`, Message{Asked: &Timestamp{}}},
		{"bad sync", `[{"type":"sync","timestamp":7}]`, Message{Bad: 1}},
		{"upsert", ` [ {"type" : "upsert", "id":"é", "value": {"a b": [1, "\" x"]} ,` + timed + `} ] `,
			Message{Ops: []Op{{Kind: Upsert, ID: "é", Value: raw(`{"a b":[1,"\" x"]}`), Timestamp: stamp}}}},
		{"the type comes last", `[{"id":"a","value":null,` + timed + `,"type":"upsert"}]`,
			Message{Ops: []Op{{Kind: Upsert, ID: "a", Value: raw(`null`), Timestamp: stamp}}}},
		{"no timestamp", `[{"type":"upsert","id":"a","value":1},{"type":"upsert","id":"b","value":1,"timestamp":null}]`,
			Message{Ops: []Op{{Kind: Upsert, ID: "a", Value: raw(`1`)}, {Kind: Upsert, ID: "b", Value: raw(`1`)}}}},
		{"unknown fields", `[{"type":"link","sourceId":"a","targetId":"b",` + timed + `,"sig":"x","by":{"k":[1, 2]}}]`,
			Message{Ops: []Op{{Kind: Link, ID: "a", Target: "b", Timestamp: stamp, Extra: raw(`{"sig":"x","by":{"k":[1,2]}}`)}}}},
		{"unknown types", `[{"type":"wat","id":"x"}]`, Message{}},
		{"an upsert of a node that is gone", `[{"type":"upsert","id":"x",` + timed + `}]`, Message{}},
		{"not operations", `[1,"x",null,[],{}]`, Message{Bad: 5}},
		{"bad ids", `[{"type":"remove","id":""},{"type":"remove","id":7},{"type":"remove"},{"type":"remove","id":"` + long + `"},
			{"type":"remove","id":"\ud800"},{"type":"link","sourceId":"a"},{"type":"upsert","value":1}]`, Message{Bad: 7}},
		{"bad timestamps", `[{"type":"remove","id":"a","timestamp":{"physical":-1,"logical":0}},
			{"type":"remove","id":"a","timestamp":{"physical":1.5,"logical":0}},
			{"type":"remove","id":"a","timestamp":{"physical":1}},
			{"type":"remove","id":"a","timestamp":{"physical":1,"logical":9007199254740992}},
			{"type":"remove","id":"a","timestamp":{"physical":"1","logical":1}},
			{"type":"remove","id":"a","timestamp":{"physical":1e400,"logical":1}},
			{"type":"remove","id":"a","timestamp":[]}]`, Message{Bad: 7}},
		{"odd timestamps", `[{"type":"remove","id":"a","timestamp":{"logical":6.0,"x":{},"physical":5e0}}]`,
			Message{Ops: []Op{{Kind: Remove, ID: "a", Timestamp: stamp}}}},
		{"delta", `[{"type":"deltaSync","operations":[{"type":"remove","id":"a",` + timed + `},{"type":"upsert","id":"b",` + timed + `},3],` + timed + `}]`,
			Message{Delta: []Op{{Kind: Remove, ID: "a", Timestamp: stamp}}, Bad: 1}},
		{"empty full state", `[{"type":"fullStateSync","graphData":{},"removals":[],"timestamp":null}]`, Message{Full: &FullState{}}},
		{"full state", `[{"type":"fullStateSync","graphData":{
				"a":{"id":"a","value":1,"edges":["b","b",7,"a"],` + timed + `,"sig":1},
				"b":{"id":"other","value":1},"c":{"id":"c"},"d":7,"e":{"id":"e","value":1,"timestamp":7}},
			"removals":[{"type":"remove","id":"z",` + timed + `}],` + timed + `}]`,
			Message{Full: &FullState{Nodes: []Entry{{ID: "a", Value: raw(`1`), Edges: []string{"b", "a"}, Timestamp: stamp, Extra: raw(`{"sig":1}`)}},
				Removals: []Op{{Kind: Remove, ID: "z", Timestamp: stamp}}, Timestamp: stamp}, Bad: 3}},
		{"live operations around a question", `[{"type":"remove","id":"a"},{"type":"sync","timestamp":null},{"type":"remove","id":"b"}]`,
			Message{Ops: []Op{{Kind: Remove, ID: "a"}, {Kind: Remove, ID: "b"}}, Asked: &Timestamp{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decode([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
	for _, in := range []string{``, ` `, `7`, `"x"`, `null`, `[`, `{`, `[{]`, `[] []`, `[{"type":"upsert","id":"a","value":{]}]`, `[{"type":"sync","timestamp":{}`} {
		if m, err := Decode([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, m)
		}
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// Whatever comes, what was understood is encoded to a message that says the same, and
// a replica takes it.
func FuzzDecode(f *testing.F) {
	v := loadVectors(f)
	for _, m := range v.Session {
		f.Add([]byte(m.Message))
	}
	for _, p := range v.Probes {
		f.Add([]byte(p.Sent))
		for _, reply := range p.Replies {
			f.Add([]byte(reply))
		}
	}
	f.Add([]byte(`[{"type":"upsert","id":"a","value":" \\\" ","sig":"x","sig":1}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Decode(in)
		if err != nil {
			return
		}
		ops := append(append([]Op(nil), m.Ops...), m.Delta...)
		s := newTable(begin)
		r := NewReplica(s, Timestamp{})
		if m.Full != nil {
			ops = append(ops, m.Full.Removals...)
			if _, err := r.Merge(m.Full, begin()); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Decode(Encode(ops...))
		if err != nil || again.Bad != 0 || len(again.Ops) != len(ops) {
			t.Fatalf("%+v, %v, want %+v", again, err, ops)
		}
		for i, op := range again.Ops {
			if op.ID != ops[i].ID || op.Timestamp != ops[i].Timestamp || !bytes.Equal(op.Value, ops[i].Value) {
				t.Fatalf("%+v, want %+v", op, ops[i])
			}
			if _, err := r.Apply(op, begin(), true); err != nil {
				t.Fatal(err)
			}
		}
		for id, e := range s.entries {
			if e.ID != id || id == "" || len(id) > MaxID || e.Removed && (e.Value != nil || e.Edges != nil) || !e.Removed && !json.Valid(e.Value) {
				t.Fatalf("%+v", e)
			}
		}
		a, err := NewAnswer(s.scan, s.Entry, Asker{})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Decode(a.Whole(r.Last()))
		if err != nil || whole.Bad != 0 || whole.Full == nil {
			t.Fatalf("%s: %+v, %v", a.Whole(r.Last()), whole, err)
		}
		for batch := range a.Batches(100) {
			if m, err := Decode(batch); err != nil || m.Bad != 0 {
				t.Fatalf("%s: %+v, %v", batch, m, err)
			}
		}
	})
}
