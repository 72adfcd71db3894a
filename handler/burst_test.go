package handler

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"pgregory.net/rapid"
)

// appendMasked appends a frame as a client writes it.
func appendMasked(b []byte, first byte, payload []byte, key [4]byte) []byte {
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// TestBurst: however messages are cut into frames and frames into pieces, with
// control frames between, the messages arrive as they are. A message that
// follows the close frame does not.
func TestBurst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type message struct {
			binary bool
			data   string
		}
		got := make(chan message)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(got)
			s, err := accept(w, r)
			if err != nil {
				return
			}
			defer s.abort()
			s.ws.SetReadLimit(-1)
			for {
				data, binary, err := s.Read()
				if err != nil {
					return
				}
				got <- message{binary, string(data)}
			}
		}))
		defer server.Close()

		var (
			stream []byte
			want   []message
		)
		for range rapid.IntRange(0, 40).Draw(t, "messages") {
			key := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "key"))
			data := bytes.Repeat([]byte{key[0], 'a', key[1]}, rapid.SampledFrom([]int{0, 1, 5, 41, 42, 43, 60, 1000, 1363, 1364, 1400, 22000}).Draw(t, "size"))
			opcode := rapid.SampledFrom([]byte{opText, opBinary}).Draw(t, "opcode")
			want = append(want, message{opcode == opBinary, string(data)})
			switch rapid.IntRange(0, 5).Draw(t, "how") {
			case 0: // in two frames, with a ping between
				at := rapid.IntRange(0, len(data)).Draw(t, "cut")
				stream = appendMasked(stream, opcode&^0x80, data[:at], key)
				stream = appendMasked(stream, 0x89, nil, key)
				stream = appendMasked(stream, 0x80, data[at:], key)
			case 1: // after a pong
				stream = appendMasked(stream, 0x8a, []byte("pong"), key)
				fallthrough
			default:
				stream = appendMasked(stream, opcode, data, key)
			}
		}
		stream = appendMasked(stream, opClosing, []byte{3, 232}, [4]byte{})
		stream = appendMasked(stream, opText, []byte("too late"), [4]byte{})

		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		pieces := rapid.SliceOfN(rapid.IntRange(1, 3000), 1, 20).Draw(t, "pieces")
		go func() {
			for i := 0; len(stream) > 0; i++ {
				n := min(len(stream), pieces[i%len(pieces)])
				if _, err := conn.Write(stream[:n]); err != nil {
					return
				}
				stream = stream[n:]
			}
		}()
		for i, w := range want {
			if m, ok := <-got; !ok || m != w {
				t.Fatalf("message %d of %d: got %t %.20q (%d bytes), want %t %.20q (%d bytes)", i, len(want), m.binary, m.data, len(m.data), w.binary, w.data, len(w.data))
			}
		}
		if m, ok := <-got; ok {
			t.Fatalf("after the end: %q", m.data)
		}
	})
}
