package engine

import (
	"errors"
	"strings"
	"testing"
)

// The examples of RFC 7396, appendix A.
func TestMergePatch(t *testing.T) {
	for _, c := range []struct{ value, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":12345678901234567890.10}`, `{"a":1e400}`, `{"a":1e400,"n":12345678901234567890.10}`},
	} {
		got, err := mergePatch([]byte(c.value), []byte(c.patch))
		if err != nil || string(got) != c.want {
			t.Errorf("%s patched by %s is %s, want %s: %v", c.value, c.patch, got, c.want, err)
		}
	}
	if _, err := mergePatch([]byte("{}"), []byte(strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100))); !errors.Is(err, errPatchDepth) {
		t.Errorf("a deep patch: %v", err)
	}
}
