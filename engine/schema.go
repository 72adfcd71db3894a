package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaURL is what a schema is known by to itself; references are relative to it.
const schemaURL = "genosrtc:///schema.json"

// maxBreach is how many bytes of a place, and of what is wrong there, are told.
const maxBreach = 200

// onlyItself loads nothing: a schema is to be checked before it is used, and not
// to depend on files or the network.
type onlyItself struct{}

func (onlyItself) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of the schema; write it into its $defs", url)
}

func compileSchema(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not valid JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(onlyItself{})
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaURL)
}

// judge tells whether data fits the schema.
func (c *channelRule) judge(content *Content) *RuleError {
	var value any
	switch content.Kind {
	case Binary:
		return c.breach(RuleSchema, "bytes have no schema")
	case Text:
		value = string(content.Data)
	default:
		// Numbers as floats: the exact ones that the library makes of their text
		// can be made to cost any time.
		if err := json.Unmarshal(content.Data, &value); err != nil {
			return c.breach(RuleSchema, "%s", cutText(err.Error()))
		}
	}
	err := c.schema.Validate(value)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return c.breach(RuleSchema, "%s", cutText(err.Error()))
	}
	invalid = offending(invalid)
	e := c.breach(RuleSchema, "%s", cutText(invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English))))
	e.Where = cutText(pointer(invalid.InstanceLocation))
	return e
}

// offending is the first thing that is wrong with a value. Where one of several
// things would do, it is the value that none of them holds for.
func offending(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	for len(e.Causes) > 0 {
		switch e.ErrorKind.(type) {
		case *kind.AnyOf, *kind.OneOf, *kind.Contains:
			return e
		}
		e = e.Causes[0]
	}
	return e
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is a JSON Pointer.
func pointer(tokens []string) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(token))
	}
	return b.String()
}

// cutText bounds what is told of a message, since it may repeat parts of it.
func cutText(s string) string {
	if len(s) <= maxBreach {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:maxBreach], "") + "…"
}
