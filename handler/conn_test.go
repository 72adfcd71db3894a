package handler

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"pgregory.net/rapid"
)

// However the bytes come and in whatever pieces they are asked for, they are
// read in order, and nothing is held when all were taken.
func TestReadAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		early := rapid.IntRange(0, 2000).Draw(t, "early")
		pieces := rapid.SliceOfN(rapid.IntRange(1, 3*aheadSize), 0, 20).Draw(t, "pieces")
		asked := rapid.SliceOfN(rapid.IntRange(1, 2*aheadSize), 1, 5).Draw(t, "asked")
		var all []byte
		for n := range early {
			all = append(all, byte(n))
		}
		near, far := net.Pipe()
		defer far.Close()
		c := &conn{Conn: near, early: bytes.Clone(all)}
		for _, n := range pieces {
			for range n {
				all = append(all, byte(rand.Uint32()))
			}
		}
		go func() {
			defer far.Close()
			rest := all[early:]
			for _, n := range pieces {
				if _, err := far.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		var got []byte
		for i := 0; ; i++ {
			b := make([]byte, asked[i%len(asked)])
			n, err := c.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
		if !bytes.Equal(got, all) {
			t.Fatalf("%d bytes were read, not the %d that came", len(got), len(all))
		}
		if c.buffer != nil || len(c.early) > 0 {
			t.Fatal("a buffer is held")
		}
	})
}
