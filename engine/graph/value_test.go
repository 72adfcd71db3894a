package graph

import (
	"strings"
	"testing"
)

func TestReadValue(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]string{
		` { "b" : 1.50, "a" : "<é\u0041" } `: `{"b":1.50,"a":"<é\u0041"}`,
		`null`:                               `null`,
		nested(MaxDepth):                     nested(MaxDepth),
		nested(MaxDepth + 1):                 "",
		`{"a":1,"a":1}`:                      "",
		`"\ud800"`:                           "",
		`1 2`:                                "",
		``:                                   "",
	} {
		got, err := ReadValue([]byte(text))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
