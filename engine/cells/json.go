package cells

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// object reads a JSON object in one pass, member by member. The values alias data.
func object(data []byte, member func(name, value []byte)) error {
	// Browsers send both to each other: lone surrogates, as escapes, where an application
	// cut a string, and repeated keys.
	d := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if k := d.PeekKind(); k != jsontext.KindBeginObject && k != jsontext.KindInvalid {
		return errors.New("no object")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	key := make([]byte, 0, 16)
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadValue()
		if err != nil {
			return err
		}
		key, _ = jsontext.AppendUnquote(key[:0], name)
		v, err := d.ReadValue()
		if err != nil {
			return err
		}
		end := int(d.InputOffset())
		member(key, data[end-len(v):end:end])
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return cmp.Or(err, errors.New("more than one value"))
	}
	return nil
}

// texts reads the strings of a JSON array.
func texts(array []byte) (list []string) {
	d := jsontext.NewDecoder(bytes.NewBuffer(array), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	d.ReadToken() // [
	for d.PeekKind() != jsontext.KindEndArray {
		v, err := d.ReadValue()
		if err != nil {
			break
		}
		if s, ok := text(v); ok {
			list = append(list, s)
		}
	}
	return list
}

// text reads a JSON string. What is no Unicode in it becomes U+FFFD.
func text(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	b, _ := jsontext.AppendUnquote(make([]byte, 0, 64), value) // on the stack, mostly
	return string(b), true
}

// number reads a JSON number.
func number(value []byte) (float64, bool) {
	n, err := strconv.ParseFloat(string(value), 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}

// appendString appends a JSON string. What is no UTF-8 in it becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
