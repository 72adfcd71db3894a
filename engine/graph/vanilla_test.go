package graph

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// vanilla is a page by the letter of docs/protocol.md, "Sync", on the wire as in its
// rules: a log of some operations, whole nodes in full states, edges that dangle.
type vanilla struct {
	nodes map[string]*wireNode
	log   []wireOp
	size  int // of the log
	clock Timestamp
	g     Timestamp
	now   func() time.Time
	// said hears of what was applied, with the node's timestamp before and after, refused
	// for lack of a node, and forgotten, as the log was full.
	said func(id string, was, is Timestamp, kind string)
}

type wireNode struct {
	ID        string          `json:"id"`
	Value     json.RawMessage `json:"value"`
	Edges     []string        `json:"edges"`
	Timestamp *Timestamp      `json:"timestamp"`
}

type wireOp struct {
	Type       string               `json:"type"`
	ID         string               `json:"id,omitempty"`
	Source     string               `json:"sourceId,omitempty"`
	Target     string               `json:"targetId,omitempty"`
	Value      json.RawMessage      `json:"value,omitempty"`
	Timestamp  *Timestamp           `json:"timestamp"`
	Operations []wireOp             `json:"operations,omitempty"`
	Graph      map[string]*wireNode `json:"graphData,omitempty"`
	Removals   []wireOp             `json:"removals,omitempty"`
}

func newVanilla(size int, now func() time.Time) *vanilla {
	return &vanilla{nodes: make(map[string]*wireNode), size: size, now: now, said: func(string, Timestamp, Timestamp, string) {}}
}

func (v *vanilla) tick() *Timestamp {
	v.clock = Timestamp{max(v.clock.Physical, v.now().UnixMilli()), v.clock.Logical + 1}
	v.g = v.clock
	t := v.clock
	return &t
}

func (v *vanilla) applied(op wireOp, was Timestamp) {
	t := *op.Timestamp
	if was != t {
		v.said(op.ID+op.Source, was, t, op.Type)
	}
	v.clock = Timestamp{max(v.clock.Physical, t.Physical), max(v.clock.Logical, t.Logical) + 1}
	if t.After(v.g) {
		v.g = t
	}
	v.logged(op)
}

func (v *vanilla) logged(op wireOp) {
	op.Value = nil
	v.log = append(v.log, op)
	if len(v.log) > v.size {
		if op := v.log[0]; op.Type == "remove" {
			v.said(op.ID, Timestamp{}, *op.Timestamp, "forgotten")
		}
		v.log = v.log[1:]
	}
}

func (v *vanilla) put(id string, value json.RawMessage) wireOp {
	op := wireOp{Type: "upsert", ID: id, Value: value, Timestamp: v.tick()}
	if n := v.nodes[id]; n != nil {
		n.Value, n.Timestamp = value, op.Timestamp
	} else {
		v.nodes[id] = &wireNode{id, value, []string{}, op.Timestamp}
	}
	v.logged(op)
	return op
}

func (v *vanilla) remove(id string) wireOp {
	op := wireOp{Type: "remove", ID: id, Value: v.nodes[id].Value, Timestamp: v.tick()}
	delete(v.nodes, id)
	for _, n := range v.nodes {
		n.Edges = slices.DeleteFunc(n.Edges, func(e string) bool { return e == id })
	}
	v.logged(op)
	return op
}

func (v *vanilla) link(source, target string) wireOp {
	op := wireOp{Type: "link", Source: source, Target: target, Timestamp: v.tick()}
	n := v.nodes[source]
	n.Timestamp = op.Timestamp
	if !slices.Contains(n.Edges, target) {
		n.Edges = append(n.Edges, target)
	}
	v.logged(op)
	return op
}

func (v *vanilla) apply(op wireOp) {
	n := v.nodes[op.ID+op.Source]
	newer := n != nil && op.Timestamp.After(*n.Timestamp)
	var was Timestamp
	if n != nil {
		was = *n.Timestamp
	}
	switch op.Type {
	case "upsert":
		if op.Value == nil || n != nil && !newer ||
			slices.ContainsFunc(v.log, func(l wireOp) bool { return l.Type == "remove" && l.ID == op.ID && l.Timestamp.After(*op.Timestamp) }) {
			return
		}
		if n == nil {
			n = &wireNode{ID: op.ID, Edges: []string{}}
			v.nodes[op.ID] = n
		}
		n.Value, n.Timestamp = op.Value, op.Timestamp
	case "remove":
		if !newer {
			return
		}
		delete(v.nodes, op.ID)
	case "link":
		if n == nil || newer && v.nodes[op.Target] == nil {
			v.said(op.Source, was, *op.Timestamp, "refused")
			return
		}
		if !newer {
			return
		}
		n.Timestamp = op.Timestamp
		if !slices.Contains(n.Edges, op.Target) {
			n.Edges = append(n.Edges, op.Target)
		}
	}
	v.applied(op, was)
}

func (v *vanilla) asks() []byte {
	g := &v.g
	if v.g.IsZero() {
		g = nil
	}
	b, _ := json.Marshal([]wireOp{{Type: "sync", Timestamp: g}})
	return b
}

func (v *vanilla) full() []byte {
	b, _ := json.Marshal([]map[string]any{{"type": "fullStateSync", "graphData": v.nodes, "removals": v.removals(), "timestamp": v.g}})
	return b
}

func (v *vanilla) removals() []wireOp {
	ops := []wireOp{}
	for _, op := range v.log {
		if op.Type == "remove" {
			ops = append(ops, op)
		}
	}
	return ops
}

// receive returns what it broadcasts in reply.
func (v *vanilla) receive(data []byte) (replies [][]byte) {
	var ops []wireOp
	if err := json.Unmarshal(data, &ops); err != nil {
		panic(err)
	}
	for _, op := range ops {
		switch op.Type {
		case "upsert", "remove", "link":
			v.apply(op)
		case "sync":
			switch t := op.Timestamp; {
			case t == nil || t.IsZero() || len(v.log) > 0 && v.log[0].Timestamp.After(*t):
				replies = append(replies, v.full())
			case len(v.log) > 0:
				delta := slices.Clone(v.log)
				for i := range delta {
					if n := v.nodes[delta[i].ID]; n != nil && delta[i].Type == "upsert" {
						delta[i].Value = n.Value
					}
				}
				b, _ := json.Marshal([]map[string]any{{"type": "deltaSync", "operations": delta, "timestamp": v.g}})
				replies = append(replies, b)
			}
		case "deltaSync":
			for _, o := range op.Operations {
				v.apply(o)
			}
		case "fullStateSync":
			for _, id := range slices.Sorted(maps.Keys(op.Graph)) {
				theirs := op.Graph[id]
				n := v.nodes[id]
				if n != nil && !theirs.Timestamp.After(*n.Timestamp) {
					continue
				}
				var was Timestamp
				if n != nil {
					was = *n.Timestamp
				}
				if slices.ContainsFunc(v.log, func(l wireOp) bool { return l.Type == "remove" && l.ID == id && l.Timestamp.After(*theirs.Timestamp) }) {
					continue
				}
				v.nodes[id] = theirs
				v.said(id, was, *theirs.Timestamp, "state")
				v.applied(wireOp{Type: "upsert", ID: id, Timestamp: theirs.Timestamp}, *theirs.Timestamp)
			}
			for _, o := range op.Removals {
				v.apply(o)
			}
			for id, n := range v.nodes {
				if theirs := op.Graph[id]; theirs == nil || n.Timestamp.After(*theirs.Timestamp) {
					replies = append(replies, v.full())
					break
				}
			}
		}
	}
	return replies
}
