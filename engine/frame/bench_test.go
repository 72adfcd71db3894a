package frame

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// benchContents are messages as chats and transfers send them.
func benchContents() map[string]Content {
	random := rand.New(rand.NewPCG(1, 2))
	bytes := make([]byte, 1_500_000)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	var json strings.Builder
	json.WriteString("[0")
	for json.Len() < 1_500_000 {
		fmt.Fprintf(&json, `,{"id":%d,"user":"user-%d","text":"some words of a chat","at":%d}`,
			random.Uint32(), random.Uint32N(100), random.Uint64())
	}
	json.WriteString("]")
	return map[string]Content{
		"binary=100B":  {Kind: Binary, Data: bytes[:100]},
		"json=100B":    {Kind: JSON, Data: []byte(`"` + strings.Repeat("x", 98) + `"`)},
		"json=1kB":     {Kind: JSON, Data: []byte(json.String()[:strings.Index(json.String()[1000:], ",{")+1000] + "]")},
		"binary=1.5MB": {Kind: Binary, Data: bytes},
		"json=1.5MB":   {Kind: JSON, Data: []byte(json.String())},
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, c := range benchContents() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode("chat", 0, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPush(b *testing.B) {
	for name, c := range benchContents() {
		frames, err := Encode("chat", 0, c)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			r := NewReassembler(Limits{})
			b.SetBytes(int64(len(c.Data)))
			b.ReportAllocs()
			for b.Loop() {
				pushAll(b, r, frames)
			}
		})
	}
}
