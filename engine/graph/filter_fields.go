package graph

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// finder finds those fields of a value that somebody asks for, in
// one pass over it.
type finder struct {
	root  branch
	found []field // by slot

	text    []byte // of the value
	dec     jsontext.Decoder
	source  bytes.Buffer
	unquote []byte
}

type field struct {
	raw  jsontext.Value // nil: there is none
	read bool           // value is that of raw
	value
}

// branch is a place in values: that of a field, or on the way to one.
type branch struct {
	slot  int // -1: nobody asks for it
	below map[string]*branch
}

// slot is where the value of a field will be; the names in path have dots between
// them.
func (f *finder) slot(path string) (int, error) {
	names := strings.Split(path, ".")
	switch {
	case slices.Contains(names, ""):
		return 0, fmt.Errorf("%q names no field", path)
	case len(names) > maxFilterDepth:
		return 0, fmt.Errorf("fields are nested at most %d deep", maxFilterDepth)
	}
	b := &f.root
	for _, name := range names {
		if b.below == nil {
			b.below = make(map[string]*branch)
		}
		if b.below[name] == nil {
			b.below[name] = &branch{slot: -1}
		}
		b = b.below[name]
	}
	if b.slot < 0 {
		b.slot = len(f.found)
		f.found = append(f.found, field{})
	}
	return b.slot, nil
}

// read finds the fields in a value, compact JSON. In what is not valid it finds what
// is before the fault.
func (f *finder) read(text []byte) {
	clear(f.found)
	if len(f.found) == 0 || len(text) == 0 || text[0] != '{' {
		return
	}
	f.text, f.source = text, *bytes.NewBuffer(text)
	f.dec.Reset(&f.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	_ = f.object(&f.root)
}

// object reads the members of the object that is next.
func (f *finder) object(b *branch) error {
	if _, err := f.dec.ReadToken(); err != nil {
		return err
	}
	for f.dec.PeekKind() == jsontext.KindString {
		quoted, err := f.dec.ReadValue()
		if err != nil {
			return err
		}
		name := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			f.unquote, _ = jsontext.AppendUnquote(f.unquote[:0], quoted)
			name = f.unquote
		}
		below := b.below[string(name)]
		if below == nil {
			err = f.dec.SkipValue()
		} else {
			err = f.member(below)
		}
		if err != nil {
			return err
		}
	}
	_, err := f.dec.ReadToken()
	return err
}

// member reads the value that is next, and the fields in it.
func (f *finder) member(b *branch) error {
	var start int
	if len(b.below) > 0 && f.dec.PeekKind() == jsontext.KindBeginObject {
		start = int(f.dec.InputOffset()) + len(":")
		if err := f.object(b); err != nil {
			return err
		}
	} else {
		raw, err := f.dec.ReadValue()
		if err != nil {
			return err
		}
		start = int(f.dec.InputOffset()) - len(raw)
	}
	if b.slot >= 0 {
		f.found[b.slot] = field{raw: f.text[start:f.dec.InputOffset()]}
	}
	return nil
}

// value is that of a field, until the next read.
func (f *finder) value(slot int) *value {
	found := &f.found[slot]
	if !found.read {
		found.read, found.value = true, valueOf(found.raw)
	}
	return &found.value
}

// members calls member for those of an object; anything else has none. Both are
// valid and compact, and member's value is its to keep.
func members(object jsontext.Value, member func(string, jsontext.Value) error) error {
	if object.Kind() != jsontext.KindBeginObject {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(object))
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := member(key, raw.Clone()); err != nil {
			return err
		}
	}
	return nil
}

// elements calls element for those of an array; anything else has none.
func elements(array jsontext.Value, element func(int, jsontext.Value) error) error {
	if array.Kind() != jsontext.KindBeginArray {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(array))
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; dec.PeekKind() != jsontext.KindEndArray; i++ {
		raw, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := element(i, raw.Clone()); err != nil {
			return err
		}
	}
	return nil
}
