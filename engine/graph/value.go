package graph

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep a node's value of ours is nested at most.
const MaxDepth = 64

// ReadValue reads a node's value, or a change of one: one JSON value as RFC 7493 wants
// it. It returns it as compact JSON, which may share memory with text.
func ReadValue(text []byte) (json.RawMessage, error) {
	value := jsontext.Value(text)
	if err := value.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)); err != nil {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return json.RawMessage(value), nil // its end
		}
		if dec.StackDepth() > MaxDepth {
			return nil, fmt.Errorf("%s: it is nested more than %d deep", dec.StackPointer(), MaxDepth)
		}
	}
}
