package engine

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"
)

// Of too many senders the one that was silent for longest is forgotten.
func TestRatesOfTooManySenders(t *testing.T) {
	c, err := newChannelRule(Rule{Channel: "a", Rate: Rate{Messages: 1, Per: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	first, second := sender{id: "first"}, sender{id: "first", hosted: "by another link"}
	for _, s := range []sender{first, second} {
		if c.pace(s, now) != nil || c.pace(s, now) == nil {
			t.Fatalf("%v may send once", s)
		}
	}
	c.pace(first, now)
	for i := range maxSenders - 1 {
		c.pace(sender{id: strconv.Itoa(i)}, now)
	}
	if c.pace(first, now) == nil {
		t.Error("one was forgotten that others were silent longer than")
	}
	if c.pace(second, now) != nil {
		t.Error("the one that was silent for longest is remembered")
	}
	if n := c.senders.Len(); n != maxSenders {
		t.Errorf("%d are remembered", n)
	}
}

// Whatever is sent: it is judged, what is told of it is short and can be said in
// UTF-8, and what is not JSON fits no schema.
func FuzzSchema(f *testing.F) {
	c, err := newChannelRule(Rule{Channel: "a", Schema: []byte(`{
		"$defs": {"tree": {"type": "object", "patternProperties": {"^.": {"$ref": "#/$defs/tree"}}}},
		"oneOf": [{"$ref": "#/$defs/tree"}, {"type": "array", "uniqueItems": true, "items": {"multipleOf": 0.1}}, {"maxLength": 3, "type": "string"}]
	}`)})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"a":{"b":{}}}`, `{"a":{"b/~":1}}`, `[0.1,0.3,1e308]`, `[1e-320]`, `[1,1.0]`, `"abcd"`, "\"\xff\"", `{"":1}`, `[1e999]`, `nul`} {
		f.Add([]byte(seed), uint8(JSON))
		f.Add([]byte(seed), uint8(Text))
	}
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		content := Content{Kind: Kind(kind % 3), Data: b}
		e := c.judge(&content)
		if e == nil {
			if content.Kind == Binary || content.Kind == JSON && !json.Valid(b) {
				t.Errorf("%q of kind %d fits", b, content.Kind)
			}
			return
		}
		if s := e.Error(); len(s) > 2*maxBreach+100 || !utf8.ValidString(s) {
			t.Errorf("%q: says %q", b, s)
		}
	})
}
