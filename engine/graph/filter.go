package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxFilter is the number of bytes that the JSON of a filter can have.
	MaxFilter = 8 << 10
	// maxFilterDepth is how deep filters, and the fields that they name, are nested.
	maxFilterDepth = 16
)

// Filter selects nodes by their values (docs/gateway.md, "Filters"). It is for one
// goroutine at a time.
type Filter struct {
	fields finder
	holds  test
}

// test tells whether the values of the fields are as they should be.
type test func(f *finder) bool

// ParseFilter reads a filter from JSON. Its error says what is wrong, and where as a
// JSON Pointer (RFC 6901).
func ParseFilter(text []byte) (*Filter, error) {
	if len(text) > MaxFilter {
		return nil, fmt.Errorf("the filter has more than %d bytes", MaxFilter)
	}
	// Once all of it is known to be valid JSON, only the meaning can be wrong.
	raw := jsontext.Value(slices.Clone(text))
	if err := raw.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)); err != nil {
		return nil, fmt.Errorf("the filter is not JSON: %w", err)
	}
	f := new(Filter)
	holds, err := f.parse("", raw, 1)
	if err != nil {
		return nil, err
	}
	f.holds = holds
	return f, nil
}

// Match tells whether the filter selects a node with this value, compact JSON.
func (f *Filter) Match(value []byte) bool {
	f.fields.read(value)
	return f.holds(&f.fields)
}

func filterError(at jsontext.Pointer, format string, args ...any) error {
	if at == "" {
		return fmt.Errorf(format, args...)
	}
	return fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...))
}

// parse reads a filter: fields and $and, $or, $not, all of which must hold.
func (f *Filter) parse(at jsontext.Pointer, raw jsontext.Value, depth int) (test, error) {
	switch {
	case raw.Kind() != jsontext.KindBeginObject:
		return nil, filterError(at, "a filter is an object")
	case depth > maxFilterDepth:
		return nil, filterError(at, "filters are nested at most %d deep", maxFilterDepth)
	}
	var all []test
	err := members(raw, func(name string, raw jsontext.Value) error {
		at := at.AppendToken(name)
		var holds test
		var err error
		switch {
		case name == "$and" || name == "$or":
			holds, err = f.parseList(at, name, raw, depth)
		case name == "$not":
			if holds, err = f.parse(at, raw, depth+1); err == nil {
				holds = not(holds)
			}
		case strings.HasPrefix(name, "$"):
			err = filterError(at, "it is none of $and, $or and $not, and no field")
		default:
			holds, err = f.parseField(at, name, raw)
		}
		all = append(all, holds)
		return err
	})
	return and(all), err
}

func (f *Filter) parseList(at jsontext.Pointer, name string, raw jsontext.Value, depth int) (test, error) {
	var list []test
	err := elements(raw, func(i int, raw jsontext.Value) error {
		holds, err := f.parse(at.AppendToken(fmt.Sprint(i)), raw, depth+1)
		list = append(list, holds)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, filterError(at, "a list of filters is needed")
	case name == "$or":
		return or(list), nil
	}
	return and(list), nil
}

// parseField reads what is asked of a field: operators, or the value that it is to
// have.
func (f *Filter) parseField(at jsontext.Pointer, path string, raw jsontext.Value) (test, error) {
	slot, err := f.fields.slot(path)
	if err != nil {
		return nil, filterError(at, "%w", err)
	}
	var all []test
	plain := 0
	err = members(raw, func(name string, operand jsontext.Value) error {
		if !strings.HasPrefix(name, "$") {
			plain++
			return nil
		}
		at := at.AppendToken(name)
		holds, err := operator(name, slot, operand)
		if err != nil {
			return filterError(at, "%w", err)
		}
		all = append(all, holds)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return operator("$eq", slot, raw)
	case plain > 0:
		return nil, filterError(at, "operators are not possible beside fields; write \"%s.…\" for a field in it", path)
	}
	return and(all), nil
}

// operator is one condition on the field in a slot.
func operator(name string, slot int, raw jsontext.Value) (test, error) {
	operand := valueOf(raw)
	switch name {
	case "$eq":
		return func(f *finder) bool { return f.value(slot).equal(&operand) }, nil
	case "$ne":
		return func(f *finder) bool { return !f.value(slot).equal(&operand) }, nil
	case "$gt", "$gte", "$lt", "$lte":
		if operand.kind != numberKind && operand.kind != stringKind {
			return nil, errors.New("a number or a string is needed")
		}
		return func(f *finder) bool {
			v := f.value(slot)
			if v.kind != operand.kind {
				return false
			}
			switch c := v.compare(&operand); name {
			case "$gt":
				return c > 0
			case "$gte":
				return c >= 0
			case "$lt":
				return c < 0
			default:
				return c <= 0
			}
		}, nil
	case "$in":
		if raw.Kind() != jsontext.KindBeginArray {
			return nil, errors.New("a list of values is needed")
		}
		var list []value
		err := elements(raw, func(_ int, raw jsontext.Value) error {
			list = append(list, valueOf(raw))
			return nil
		})
		return func(f *finder) bool {
			v := f.value(slot)
			return slices.ContainsFunc(list, func(one value) bool { return v.equal(&one) })
		}, err
	case "$exists":
		if operand.kind != trueKind && operand.kind != falseKind {
			return nil, errors.New("true or false is needed")
		}
		return func(f *finder) bool { return (f.value(slot).kind != missing) == (operand.kind == trueKind) }, nil
	case "$startsWith":
		if operand.kind != stringKind {
			return nil, errors.New("a string is needed")
		}
		return func(f *finder) bool {
			v := f.value(slot)
			return v.kind == stringKind && strings.HasPrefix(string(v.text), string(operand.text))
		}, nil
	}
	return nil, errors.New("it is none of the operators $eq, $ne, $gt, $gte, $lt, $lte, $in, $exists and $startsWith")
}

func and(all []test) test {
	if len(all) == 1 {
		return all[0]
	}
	return func(f *finder) bool {
		return !slices.ContainsFunc(all, func(holds test) bool { return !holds(f) })
	}
}

func or(list []test) test {
	return func(f *finder) bool {
		return slices.ContainsFunc(list, func(holds test) bool { return holds(f) })
	}
}

func not(holds test) test { return func(f *finder) bool { return !holds(f) } }
