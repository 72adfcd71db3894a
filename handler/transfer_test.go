package handler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// mover is a client in MessagePack that sends or receives a transfer.
type mover struct {
	ws *websocket.Conn
	id string
}

func (s *site) mover(t testing.TB) *mover {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), s.url("demo"), &websocket.DialOptions{
		Subprotocols: []string{session.MessagePack.Subprotocol()},
	})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	v := &mover{ws: ws}
	if err := v.say(t.Context(), session.Message{Op: session.OpHello}); err != nil {
		t.Fatal(err)
	}
	m, err := v.hear(t.Context())
	if err != nil || m.Op != session.OpWelcome {
		t.Fatal(m, err)
	}
	v.id = m.Peer
	return v
}

func (v *mover) say(ctx context.Context, m session.Message) error {
	return v.ws.Write(ctx, websocket.MessageBinary, session.MessagePack.Encode(&m))
}

// hear returns the next message but peer events.
func (v *mover) hear(ctx context.Context) (session.Message, error) {
	for {
		_, raw, err := v.ws.Read(ctx)
		if err != nil {
			return session.Message{}, err
		}
		m, err := session.MessagePack.Decode(raw)
		if err == nil && m.Op == session.OpError {
			err = fmt.Errorf("%s: %s", m.Code, m.Text)
		}
		if err != nil || m.Op != session.OpPeer {
			return m, err
		}
	}
}

const (
	testWindow = 512 << 10
	testChunk  = 64 << 10
)

// give sends a transfer and waits for its end.
func (v *mover) give(ctx context.Context, id uint64, to string, data []byte, hash string) error {
	size, next, acked := uint64(len(data)), uint64(0), uint64(0)
	err := v.say(ctx, session.Message{
		Op: session.OpBegin, Transfer: id, Channel: "file", Size: &size, Kind: "bytes", To: []string{to},
	})
	begun := false
	for err == nil {
		var m session.Message
		if m, err = v.hear(ctx); err != nil {
			break
		}
		switch m.Op {
		case session.OpBegin:
			begun = true
		case session.OpAck:
			acked = *m.Offset
		case session.OpEnd:
			return nil
		case session.OpCancel, session.OpResult:
			return fmt.Errorf("%s %s %s", m.Op, m.Error, m.Reason)
		}
		for begun && err == nil && next < min(size, acked+testWindow) {
			offset, end := next, min(next+testChunk, size, acked+testWindow)
			next = end
			err = v.say(ctx, session.Message{
				Op: session.OpChunk, Transfer: id, Offset: &offset,
				Content: engine.Content{Kind: engine.Binary, Data: data[offset:end]},
			})
			if err == nil && end == size {
				err = v.say(ctx, session.Message{Op: session.OpEnd, Transfer: id, Hash: hash})
			}
		}
	}
	return err
}

// take receives transfers into buf, one after the other.
func (v *mover) take(ctx context.Context, buf *bytes.Buffer) error {
	for {
		m, err := v.hear(ctx)
		if err != nil {
			return err
		}
		answer := session.Message{Op: m.Op, Transfer: m.Transfer, From: m.From}
		offset := uint64(0)
		switch m.Op {
		case session.OpBegin:
			buf.Reset()
		case session.OpChunk:
			buf.Write(m.Content.Data)
			answer.Op, offset = session.OpAck, uint64(buf.Len())
		case session.OpEnd:
		default:
			continue
		}
		answer.Offset = &offset
		if err := v.say(ctx, answer); err != nil {
			return err
		}
	}
}

func TestTransfer(t *testing.T) {
	s := serve(t, Config{})
	from, to := s.mover(t), s.mover(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 500_000)
	sum := sha256.Sum256(data)
	var got bytes.Buffer
	took := make(chan error, 1)
	go func() { took <- to.take(t.Context(), &got) }()
	if err := from.give(t.Context(), 1, to.id, data, hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	to.ws.CloseNow()
	<-took
	if !bytes.Equal(got.Bytes(), data) {
		t.Errorf("%d of %d bytes arrived", got.Len(), len(data))
	}
}

// BenchmarkTransfer is a transfer between two sessions on WebSockets, by
// loopback. Nobody computes the hash.
func BenchmarkTransfer(b *testing.B) {
	s := serve(b, Config{})
	from, to := s.mover(b), s.mover(b)
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	var got bytes.Buffer
	got.Grow(len(data))
	took := make(chan error, 1)
	go func() { took <- to.take(b.Context(), &got) }()
	id := uint64(0)
	for b.Loop() {
		id++
		if err := from.give(b.Context(), id, to.id, data, hex.EncodeToString(make([]byte, 32))); err != nil {
			b.Fatal(err)
		}
	}
	to.ws.CloseNow()
	<-took
}
