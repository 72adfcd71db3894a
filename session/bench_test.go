package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// BenchmarkCodec is what the server does to each message of a client, and to
// each that it passes on.
func BenchmarkCodec(b *testing.B) {
	for _, size := range []int{100, 16 << 10} {
		for _, c := range Codecs {
			content := engine.Content{Kind: engine.Binary, Data: bytes.Repeat([]byte{1}, size)}
			raw := c.Encode(&Message{Op: OpSend, Seq: 1 << 30, Channel: "chat", Content: content})
			name := fmt.Sprintf("%s/%d", strings.TrimPrefix(c.Subprotocol(), "genosrtc.v1."), size)
			b.Run("decode/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Decode(raw); err != nil {
						b.Fatal(err)
					}
				}
			})
			m := Message{Op: OpMessage, Seq: 1 << 30, Channel: "chat", From: strings.Repeat("p", 20), Content: content}
			b.Run("encode/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.Encode(&m)
				}
			})
		}
	}
}
