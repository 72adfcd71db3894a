package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// Caddy's web site makes its documentation of the JSON configuration from the comments
// of the fields: each has sentences, and says its default or that it is needed.
func TestFieldsAreDocumented(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, file := range files {
		// The documents of the admin API are described in docs/operations.md.
		if name := file.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "admin") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil || !strings.Contains(field.Tag.Value, "json:") || len(field.Names) == 0 {
				return true
			}
			fields++
			doc := strings.TrimSpace(field.Doc.Text())
			if !strings.HasSuffix(doc, ".") || !strings.Contains(doc, "Default") && !strings.Contains(doc, "equired") {
				t.Errorf("%s: %s is described as %q", file.Name(), field.Names[0], doc)
			}
			return true
		})
	}
	if fields < 30 {
		t.Errorf("%d fields were found", fields)
	}
}
