package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestFilters(t *testing.T) {
	const node = `{"type":"sensor","t":21.5,"on":true,"tags":["a","b"],"at":{"lat":50,"lon":7.0,"city":"Köln"},"none":null,"a\"b":1}`
	for filter, want := range map[string]bool{
		`{}`:                                       true,
		`{"type":"sensor"}`:                        true,
		`{"type":"Sensor"}`:                        false,
		`{"t":{"$gt":21}}`:                         true,
		`{"t":{"$gt":21.5}}`:                       false,
		`{"t":{"$gte":21.5,"$lt":22}}`:             true,
		`{"t":{"$lte":21.4}}`:                      false,
		`{"t":{"$gt":"21"}}`:                       false,
		`{"t":2.15e1}`:                             true,
		`{"type":{"$gt":"s","$lt":"t"}}`:           true,
		`{"on":true}`:                              true,
		`{"on":{"$ne":true}}`:                      false,
		`{"on":1}`:                                 false,
		`{"gone":{"$ne":1}}`:                       true,
		`{"gone":null}`:                            false,
		`{"gone":{"$in":[null]}}`:                  false,
		`{"none":null}`:                            true,
		`{"none":{"$exists":true}}`:                true,
		`{"gone":{"$exists":false}}`:               true,
		`{"at.city":{"$startsWith":"Kö"}}`:         true,
		`{"at.city":"Ko\u0308ln"}`:                 false,
		`{"at.lon":7,"at.lat":{"$in":[1,50]}}`:     true,
		`{"at.lat.x":{"$exists":true}}`:            false,
		`{"at":{"lon":7,"lat":5e1,"city":"Köln"}}`: true,
		`{"at":{"lon":7}}`:                         false,
		`{"at":{},"at.lon":7}`:                     false,
		`{"tags":["a","b"]}`:                       true,
		`{"tags":["b","a"]}`:                       false,
		`{"tags":"a"}`:                             false,
		`{"tags":{"$in":[["a","b"]]}}`:             true,
		`{"tags.0":"a"}`:                           false,
		`{"t":{"$in":[]}}`:                         false,
		`{"a\"b":1}`:                               true,
		`{"$or":[{"t":1},{"type":"sensor"}]}`:      true,
		`{"$and":[{"t":1},{"type":"sensor"}]}`:     false,
		`{"$not":{"t":1},"type":"sensor"}`:         true,
		`{"$not":{"$or":[{"on":true}]}}`:           false,
	} {
		f, err := ParseFilter([]byte(filter))
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		for range 2 {
			if f.Match([]byte(node)) != want {
				t.Errorf("%s: %v", filter, !want)
			}
		}
		for _, other := range []string{``, `5`, `"text"`, `[]`, `null`, `{"type":`} {
			f.Match([]byte(other))
		}
	}
}

// Who writes a filter is told where it is wrong.
func TestBadFilters(t *testing.T) {
	deep := strings.Repeat(`{"$not":`, 17) + `{}` + strings.Repeat(`}`, 17)
	for filter, want := range map[string]string{
		``:                        "the filter is not JSON",
		`{"a":1`:                  "the filter is not JSON",
		`{"a":1}{}`:               "the filter is not JSON",
		`{"a":1,"a":2}`:           "the filter is not JSON",
		`[]`:                      "a filter is an object",
		`{"$nor":[]}`:             "/$nor: it is none of",
		`{"$or":{}}`:              "/$or: a list of filters",
		`{"$and":[]}`:             "/$and: a list of filters",
		`{"$or":[{},5]}`:          "/$or/1: a filter is an object",
		`{"$not":[]}`:             "/$not: a filter is an object",
		`{"a":{"$like":"x"}}`:     "/a/$like: it is none of",
		`{"a/b":{"$gt":[]}}`:      "/a~1b/$gt: a number or a string",
		`{"a":{"$in":5}}`:         "/a/$in: a list",
		`{"a":{"$exists":1}}`:     "/a/$exists: true or false",
		`{"a":{"$startsWith":1}}`: "/a/$startsWith: a string",
		`{"a":{"$gt":1,"b":2}}`:   "/a: operators",
		`{"a..b":1}`:              `/a..b: "a..b" names no field`,
		`{"":1}`:                  `/: "" names no field`,
		`{"` + strings.Repeat("a.", 16) + `a":1}`: "fields are nested at most 16",
		deep: "filters are nested at most 16",
		`{"a":"` + strings.Repeat("x", MaxFilter) + `"}`: "more than 8192 bytes",
	} {
		_, err := ParseFilter([]byte(filter))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", filter, err, want)
		}
	}
}

// model says what a filter means on plain values. ok is false where it makes no
// sense.
func model(filter map[string]any, node any) bool {
	for name, operand := range filter {
		switch name {
		case "$and", "$or":
			list := operand.([]any)
			holds := func(f any) bool { return model(f.(map[string]any), node) }
			if name == "$or" && !slices.ContainsFunc(list, holds) {
				return false
			}
			if name == "$and" && slices.ContainsFunc(list, func(f any) bool { return !holds(f) }) {
				return false
			}
			continue
		case "$not":
			if model(operand.(map[string]any), node) {
				return false
			}
			continue
		}
		v, there := node, true
		for part := range strings.SplitSeq(name, ".") {
			m, _ := v.(map[string]any)
			if v, there = m[part]; !there {
				break
			}
		}
		conditions, _ := operand.(map[string]any)
		if !strings.HasPrefix(strings.Join(slices.Collect(mapKeys(conditions)), ""), "$") {
			conditions = map[string]any{"$eq": operand}
		}
		for op, x := range conditions {
			c, comparable := 0, false
			switch v := v.(type) {
			case float64:
				if x, ok := x.(float64); ok {
					comparable = true
					c = int(min(1, max(-1, (v-x)*1e9)))
				}
			case string:
				if x, ok := x.(string); ok {
					comparable, c = true, strings.Compare(v, x)
				}
			}
			same := func(x any) bool { return there && reflect.DeepEqual(v, x) }
			var holds bool
			switch op {
			case "$eq":
				holds = same(x)
			case "$ne":
				holds = !same(x)
			case "$gt":
				holds = there && comparable && c > 0
			case "$gte":
				holds = there && comparable && c >= 0
			case "$lt":
				holds = there && comparable && c < 0
			case "$lte":
				holds = there && comparable && c <= 0
			case "$in":
				holds = slices.ContainsFunc(x.([]any), same)
			case "$exists":
				holds = there == x.(bool)
			case "$startsWith":
				text, _ := v.(string)
				_, isText := v.(string)
				holds = there && isText && strings.HasPrefix(text, x.(string))
			}
			if !holds {
				return false
			}
		}
	}
	return true
}

func mapKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

var (
	names   = rapid.SampledFrom([]string{"a", "b", "ü", `"`})
	scalars = rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]float64{-1, 0, 1.5, 2, 1e300}), func(n float64) any { return n }),
		rapid.Map(rapid.SampledFrom([]string{"", "x", "xy", "\\é", "\n"}), func(s string) any { return s }),
		rapid.SampledFrom([]any{nil, true, false}),
	)
	anyValue = rapid.Deferred(func() *rapid.Generator[any] {
		return rapid.OneOf(scalars, scalars, scalars,
			rapid.Map(rapid.MapOfN(names, scalars, 0, 2), func(m map[string]any) any { return m }),
			rapid.Map(rapid.SliceOfN(scalars, 0, 2), func(l []any) any { return append([]any{}, l...) }))
	})
	aNode = rapid.MapOf(names, rapid.OneOf(anyValue, rapid.Map(rapid.MapOf(names, anyValue), func(m map[string]any) any { return m })))
)

func aFilter(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		filter := map[string]any{}
		for range rapid.IntRange(0, 2).Draw(t, "parts") {
			switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case kind < 2 && depth > 0:
				list := []any{}
				for _, f := range rapid.SliceOfN(aFilter(depth-1), 1, 3).Draw(t, "list") {
					list = append(list, f)
				}
				filter[[]string{"$and", "$or"}[kind]] = list
			case kind == 2 && depth > 0:
				filter["$not"] = aFilter(depth-1).Draw(t, "not")
			case kind == 3:
				filter[names.Draw(t, "field")] = anyValue.Draw(t, "literal")
			default:
				field := strings.Join(rapid.SliceOfN(names, 1, 2).Draw(t, "path"), ".")
				conditions := map[string]any{}
				for range rapid.IntRange(1, 2).Draw(t, "operators") {
					switch op := rapid.SampledFrom([]string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$exists", "$startsWith"}).Draw(t, "operator"); op {
					case "$in":
						conditions[op] = append([]any{}, rapid.SliceOfN(anyValue, 0, 3).Draw(t, "values")...)
					case "$exists":
						conditions[op] = rapid.Bool().Draw(t, "exists")
					case "$startsWith":
						conditions[op] = rapid.SampledFrom([]string{"", "x", "\\"}).Draw(t, "start")
					case "$eq", "$ne":
						conditions[op] = anyValue.Draw(t, "value")
					default:
						conditions[op] = rapid.OneOf(
							rapid.Map(rapid.SampledFrom([]float64{-1, 0, 1.5}), func(n float64) any { return n }),
							rapid.Map(rapid.SampledFrom([]string{"", "x", "é"}), func(s string) any { return s })).Draw(t, "operand")
					}
				}
				filter[field] = conditions
			}
		}
		return filter
	})
}

func mustJSON(t interface{ Fatal(...any) }, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A filter means what the plain model says, on any values.
func TestFilterModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filter := aFilter(3).Draw(t, "filter")
		text := mustJSON(t, filter)
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, node := range rapid.SliceOfN(aNode, 1, 4).Draw(t, "nodes") {
			value := mustJSON(t, node)
			if got, want := f.Match(value), model(filter, node); got != want {
				t.Fatalf("%s of %s: %v", text, value, got)
			}
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a.b":{"$gt":5,"$lte":"x"}}`, `{"$or":[{"a":{"$in":[1,null]}},{"$not":{"b":{"$exists":true}}}]}`,
		`{"a":{"b":[]}}`, `{"\ud800":1}`, `{"$and":[{"a":{"$startsWith":"\n"}}]}`,
	} {
		f.Add([]byte(seed), []byte(`{"a":{"b":[1]},"b":null}`))
	}
	f.Fuzz(func(t *testing.T, filter, node []byte) {
		parsed, err := ParseFilter(filter)
		if err != nil {
			if err.Error() == "" {
				t.Error("it does not say what is wrong")
			}
			return
		}
		got := parsed.Match(node)
		negated, err := ParseFilter(fmt.Appendf(nil, `{"$not":%s}`, bytes.TrimSpace(filter)))
		if err != nil {
			return // too deep or too long then
		}
		if negated.Match(node) == got {
			t.Errorf("%s and its negation both say %v", filter, got)
		}
		value := jsontext.Value(node)
		if value.Compact() == nil && len(value) > 0 {
			parsed.Match(value)
		}
	})
}
