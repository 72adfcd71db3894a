package session

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

func toJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// jsonValue draws JSON text as the codecs themselves write it.
func jsonValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 6
		if depth > 0 {
			kinds = 8
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return "null"
		case 1:
			return strconv.FormatBool(rapid.Bool().Draw(t, "bool"))
		case 2:
			return strconv.FormatInt(rapid.Int64().Draw(t, "int"), 10)
		case 3:
			return strconv.FormatUint(rapid.Uint64().Draw(t, "uint"), 10)
		case 4:
			f := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).Draw(t, "float")
			return string(jsontext.AppendFloat(nil, f, 64))
		case 5:
			return quoted(t)
		case 6:
			return "[" + strings.Join(rapid.SliceOfN(jsonValue(depth-1), 0, 20).Draw(t, "array"), ",") + "]"
		}
		var parts []string
		for range rapid.IntRange(0, 20).Draw(t, "size") {
			parts = append(parts, quoted(t)+":"+jsonValue(depth-1).Draw(t, "value"))
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
}

func quoted(t *rapid.T) string {
	s := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"$bin", "$map"})).Draw(t, "string")
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, ""))
	return string(b)
}

func content() *rapid.Generator[engine.Content] {
	return rapid.Custom(func(t *rapid.T) engine.Content {
		var c engine.Content
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			c = text(strings.ToValidUTF8(rapid.String().Draw(t, "text"), ""))
		case 1:
			c = binary(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		default:
			v := jsonValue(4).Filter(func(s string) bool { return s[0] != '"' }).Draw(t, "json")
			c = jsonc(v)
		}
		if rapid.Bool().Draw(t, "has meta") {
			c.Meta = []byte(jsonValue(2).Filter(func(s string) bool { return s != "null" }).Draw(t, "meta"))
		}
		return c
	})
}

// TestRoundTrip: what goes through one encoding after the other, in either
// order, stays what it was.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Message{Op: OpSend, Seq: rapid.Uint64Range(0, maxInteger).Draw(t, "seq"), Channel: "c", Content: content().Draw(t, "content")}
		for range 4 {
			c := rapid.SampledFrom(Codecs[:]).Draw(t, "codec")
			raw := c.Encode(&m)
			back, err := c.Decode(raw)
			if err != nil || !reflect.DeepEqual(back, m) {
				t.Fatalf("%s: got %+v, %v\nwant %+v", raw, back, err, m)
			}
			m = back
		}
	})
}

// TestTranscode compares with the library's own, recursive decoder.
func TestTranscode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := jsonValue(3).Draw(t, "json")
		raw, err := appendMsgpack(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := msgpack.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !equal(got, want) {
			t.Fatalf("%s: got %v", text, got)
		}
	})
}

// equal compares what the MessagePack library decoded with what encoding/json
// did.
func equal(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for k := range want {
			if !equal(g[k], want[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for i := range want {
			if !equal(g[i], want[i]) {
				return false
			}
		}
		return true
	case json.Number:
		switch g := reflect.ValueOf(got); {
		case g.CanInt():
			return equalNumber(strconv.FormatInt(g.Int(), 10), want)
		case g.CanUint():
			return equalNumber(strconv.FormatUint(g.Uint(), 10), want)
		case g.CanFloat():
			return equalNumber(string(jsontext.AppendFloat(nil, g.Float(), 64)), want)
		}
		return false
	}
	return got == want
}

func equalNumber(got string, want json.Number) bool { return got == want.String() }

// checkCodec is the property of both fuzz tests: what can be decoded is the
// same after it was encoded, and stays the same in the other encoding.
func checkCodec(t *testing.T, c, other Codec, raw []byte) {
	before := bytes.Clone(raw)
	m, err := c.Decode(raw)
	if !bytes.Equal(raw, before) {
		t.Fatal("decoding changed the message")
	}
	if err != nil {
		if _, ok := err.(*Error); !ok {
			t.Fatalf("the error is a %T", err)
		}
		return
	}
	back, err := c.Decode(c.Encode(&m))
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Fatalf("%q\ngot  %+v, %v\nwant %+v", raw, back, err, m)
	}
	through, err := other.Decode(other.Encode(&m))
	if err != nil {
		t.Fatalf("%q through the other codec: %v", raw, err)
	}
	again, err := other.Decode(other.Encode(&through))
	if err != nil || !reflect.DeepEqual(again, through) {
		t.Fatalf("%q twice through the other codec: got %+v, %v\nwant %+v", raw, again, err, through)
	}
}

func FuzzJSON(f *testing.F) {
	for _, g := range golden {
		f.Add([]byte(g.json))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkCodec(t, JSON, MessagePack, raw) })
}

// FuzzCutValue compares with the library, which skips values recursively.
func FuzzCutValue(f *testing.F) {
	for _, g := range golden {
		f.Add(MessagePack.Encode(&g.m))
	}
	f.Add([]byte("\xdf\xff\xff\xff\xff"))
	f.Add([]byte("\xd6\xff\x00\x00\x00\x00\xc1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, rest, err := cutValue(raw)
		want, wantErr := msgpack.NewDecoder(bytes.NewReader(raw)).DecodeRaw()
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, the library says %v", raw, err, wantErr)
		}
		if err == nil && !bytes.Equal(raw[:len(raw)-len(rest)], want) {
			t.Fatalf("%q: %q is left, the library takes %q", raw, rest, want)
		}
	})
}

// TestAppend compares what is written with what the library writes.
func TestAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, u, f := rapid.Int64().Draw(t, "int"), rapid.Uint64().Draw(t, "uint"), rapid.Float64().Draw(t, "float")
		var want bytes.Buffer
		enc := msgpack.NewEncoder(&want)
		enc.EncodeInt(i)
		enc.EncodeUint(u)
		enc.EncodeFloat64(f)
		got := appendFloat(appendUint(appendInt(nil, i), u), f)
		for _, n := range []int{0, 15, 16, 31, 32, 255, 256, 65535, 65536, rapid.IntRange(0, 100_000).Draw(t, "length")} {
			enc.EncodeMapLen(n)
			enc.EncodeArrayLen(n)
			enc.EncodeBytesLen(n)
			enc.EncodeString(strings.Repeat("x", n))
			got = appendLength(appendLength(appendLength(got, n, mapLengths), n, arrayLengths), n, bytesLengths)
			got = appendString(got, strings.Repeat("x", n))
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%d %d %g: %q, the library writes %q", i, u, f, got, want.Bytes())
		}
	})
}

func FuzzMessagePack(f *testing.F) {
	for _, g := range golden {
		f.Add(MessagePack.Encode(&g.m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkCodec(t, MessagePack, JSON, raw) })
}
