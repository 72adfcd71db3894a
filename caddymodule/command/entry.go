package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// entryLine is an entry of a graph as a line of JSON.
type entryLine struct {
	ID        string           `json:"id"`
	Value     json.RawMessage  `json:"value,omitempty"`
	Edges     []string         `json:"edges,omitempty"`
	Timestamp *graph.Timestamp `json:"timestamp"` // null: it has none
	Removed   bool             `json:"removed,omitempty"`
	// Extra are the fields of its operation that are not GenosDB's own.
	Extra json.RawMessage `json:"extra,omitempty"`
}

func lineOf(e graph.Entry) entryLine {
	l := entryLine{ID: e.ID, Value: e.Value, Edges: e.Edges, Removed: e.Removed, Extra: e.Extra}
	if !e.Timestamp.IsZero() {
		l.Timestamp = &e.Timestamp
	}
	return l
}

// parseEntry reads a line.
func parseEntry(line []byte) (graph.Entry, error) {
	var l entryLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return graph.Entry{}, err
	}
	if d.More() {
		return graph.Entry{}, errors.New("there is more than one value")
	}
	e := graph.Entry{ID: l.ID, Removed: l.Removed, Edges: l.Edges}
	if l.Timestamp != nil {
		e.Timestamp = *l.Timestamp
	}
	switch {
	case l.ID == "" || len(l.ID) > graph.MaxID:
		return e, fmt.Errorf(`"id" has 1 to %d bytes, this one %d`, graph.MaxID, len(l.ID))
	case l.Removed && (l.Value != nil || l.Edges != nil):
		return e, errors.New(`what is removed has neither "value" nor "edges"`)
	case !l.Removed && l.Value == nil:
		return e, errors.New(`"value" is missing`)
	case e.Timestamp.Physical < 0:
		return e, errors.New(`"timestamp" is below zero`)
	case l.Extra != nil && l.Extra[0] != '{':
		return e, errors.New(`"extra" is no object`)
	}
	for _, id := range l.Edges {
		if id == "" || len(id) > graph.MaxID {
			return e, fmt.Errorf(`an edge has 1 to %d bytes, this one %d`, graph.MaxID, len(id))
		}
	}
	e.Value, e.Extra = compact(l.Value), compact(l.Extra)
	return e, nil
}

// compact leaves out the white space of JSON that was read before.
func compact(text json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	_ = json.Compact(&b, text) // it is valid
	return b.Bytes()
}
