package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxPatchDepth bounds how deep objects of a patch are nested: each level is read
// once more.
const maxPatchDepth = 64

var errPatchDepth = fmt.Errorf("the patch: objects are nested more than %d deep", maxPatchDepth)

// mergePatch applies a JSON Merge Patch (RFC 7396). Numbers stay as they are written.
func mergePatch(value, patch json.RawMessage) (json.RawMessage, error) {
	return mergeLevel(value, patch, maxPatchDepth)
}

func mergeLevel(value, patch json.RawMessage, deeper int) (json.RawMessage, error) {
	p, ok, err := object(patch)
	if err != nil {
		return nil, fmt.Errorf("the patch: %w", err)
	}
	if !ok {
		return patch, nil
	}
	if deeper == 0 {
		return nil, errPatchDepth
	}
	target, _, err := object(value)
	if err != nil {
		return nil, fmt.Errorf("the value: %w", err)
	}
	if target == nil {
		target = make(map[string]json.RawMessage, len(p))
	}
	for name, part := range p {
		if bytes.Equal(bytes.TrimSpace(part), []byte("null")) {
			delete(target, name)
			continue
		}
		if target[name], err = mergeLevel(target[name], part, deeper-1); err != nil {
			return nil, err
		}
	}
	return json.Marshal(target)
}

// object reads JSON that is an object; nil and false if it is something else.
func object(data json.RawMessage) (map[string]json.RawMessage, bool, error) {
	if text := bytes.TrimSpace(data); len(text) == 0 || text[0] != '{' {
		return nil, false, nil
	}
	var o map[string]json.RawMessage
	err := json.Unmarshal(data, &o)
	return o, err == nil, err
}
