package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// What follows is a client's part in transfers as docs/gateway.md has it. It
// outlives its connections.

// sending is a transfer that a client sends.
type sending struct {
	id        uint64
	data      []byte
	hash      string
	to        []string
	chunk     int
	window    uint64
	next      uint64
	acked     uint64
	answered  bool // on this connection
	ended     bool // end was sent since the answer
	over      bool
	reason    string // of the server's cancel
	said      uint64 // bytes, in chunks
	fractions map[string]float64
	results   map[string]string
	fault     error
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (s *sending) begin() Message {
	s.answered = false
	size, offset := uint64(len(s.data)), s.acked
	return Message{Op: OpBegin, Transfer: s.id, Channel: "file", Size: &size, Kind: "bytes", Offset: &offset, To: s.to}
}

func (s *sending) hear(m *Message) (out []Message) {
	switch m.Op {
	case OpBegin:
		s.next, s.answered, s.ended = *m.Offset, true, false
	case OpAck:
		if *m.Offset < s.acked {
			s.fault = fmt.Errorf("ack of %d after %d", *m.Offset, s.acked)
		}
		s.acked = *m.Offset
	case OpProgress:
		if m.Fraction < s.fractions[m.Peer] {
			s.fault = fmt.Errorf("progress %g after %g", m.Fraction, s.fractions[m.Peer])
		}
		s.fractions[m.Peer] = m.Fraction
	case OpResult:
		s.results[m.Peer] = m.Error
	case OpEnd, OpCancel:
		s.over, s.reason = true, m.Reason
	}
	size := uint64(len(s.data))
	if s.over || !s.answered {
		return nil
	}
	for s.next < min(size, s.acked+s.window) {
		offset, end := s.next, min(s.next+uint64(s.chunk), size, s.acked+s.window)
		out = append(out, Message{
			Op: OpChunk, Transfer: s.id, Offset: &offset,
			Content: engine.Content{Kind: engine.Binary, Data: s.data[offset:end]},
		})
		s.said += end - offset
		s.next = end
	}
	if s.next == size && !s.ended {
		s.ended = true
		out = append(out, Message{Op: OpEnd, Transfer: s.id, Hash: s.hash})
	}
	return out
}

// receiving is a transfer that a client receives.
type receiving struct {
	known, done bool
	reason      string // of the server's cancel
	stored      []byte
	acked       int
}

func (r *receiving) hear(m *Message) []Message {
	about := Message{Transfer: m.Transfer, From: m.From}
	switch m.Op {
	case OpBegin:
		switch {
		case r.done:
			about.Op = OpEnd
		case *m.Offset > uint64(len(r.stored)):
			about.Op, about.Reason = OpCancel, "unknown"
		default:
			r.known, r.acked = true, len(r.stored)
			offset := uint64(len(r.stored))
			about.Op, about.Offset = OpBegin, &offset
		}
	case OpChunk:
		if !r.known || *m.Offset != uint64(len(r.stored)) {
			return nil
		}
		if r.stored = append(r.stored, m.Content.Data...); len(r.stored)-r.acked < 32<<10 && len(m.Content.Data) == 64<<10 {
			return nil
		}
		r.acked = len(r.stored)
		offset := uint64(r.acked)
		about.Op, about.Offset = OpAck, &offset
	case OpEnd:
		if hash(r.stored) != m.Hash {
			about.Op, about.Reason = OpCancel, "corrupt"
			break
		}
		r.done = true
		about.Op = OpEnd
	case OpCancel:
		r.known, r.stored, r.reason = false, nil, m.Reason
		return nil
	}
	return []Message{about}
}

// mover is a client that takes part in transfers.
type mover struct {
	codec Codec
	mu    sync.Mutex
	token string
	id    string
	send  *sending
	take  receiving
	fault error
}

// run is one connection, until it is lost, or done says that all is done.
func (v *mover) run(ctx context.Context, cfg Config, p *pipe, done func(v *mover) bool) {
	cfg.Codec = v.codec
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { Serve(ctx, p, cfg) })
	defer p.Close(CloseNormal, "")

	var out []Message // under mu
	wake := make(chan struct{}, 1)
	say := func(m ...Message) {
		out = append(out, m...)
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	v.mu.Lock()
	say(Message{Op: OpHello, Resume: v.token})
	v.mu.Unlock()
	tasks.Go(func() {
		for {
			v.mu.Lock()
			batch := out
			out = nil
			v.mu.Unlock()
			for i := range batch {
				select {
				case p.in <- packet{v.codec.Encode(&batch[i]), v.codec.Binary()}:
				case <-p.closed:
					return
				}
			}
			select {
			case <-wake:
			case <-p.closed:
				return
			}
		}
	})
	for {
		var raw packet
		select {
		case raw = <-p.out:
		case <-p.closed:
			return
		}
		m, err := v.codec.Decode(raw.raw)
		if err != nil {
			v.fault = fmt.Errorf("%q: %w", raw.raw, err)
			return
		}
		v.mu.Lock()
		switch {
		case m.Op == OpError:
			v.fault = fmt.Errorf("error: %+v", m)
		case m.Op == OpWelcome:
			if v.token != "" && !m.Resumed {
				v.fault = fmt.Errorf("not resumed: %s", m.Reason)
			}
			v.token, v.id = m.Resume, m.Peer
			if v.send != nil {
				v.send.window = uint64(cfg.Room.Window()) // codecs do not read limits
				if !v.send.over {
					say(v.send.begin())
				}
			}
		case m.Transfer == 0:
		case v.send != nil && m.From == "":
			say(v.send.hear(&m)...)
		case m.From != "":
			say(v.take.hear(&m)...)
		}
		over := v.fault != nil || done(v)
		v.mu.Unlock()
		if over {
			return
		}
	}
}

func newPipe() *pipe {
	return &pipe{in: make(chan packet), out: make(chan packet), closed: make(chan struct{})}
}

func newSending(data []byte) *sending {
	return &sending{id: 1, data: data, hash: hash(data), chunk: 64 << 10, fractions: map[string]float64{}, results: map[string]string{}}
}

func testPayload(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

// BenchmarkTransfer is a transfer between two sessions, without a network.
func BenchmarkTransfer(b *testing.B) {
	for _, codec := range Codecs {
		b.Run(codec.Subprotocol(), func(b *testing.B) {
			e := memnet.New().Endpoint("server")
			n := engine.New(engine.Config{Signaling: e, Transport: e, Logger: slog.New(slog.DiscardHandler)})
			defer n.Close(context.Background())
			room, err := n.Open(engine.RoomConfig{Name: "demo"})
			if err != nil {
				b.Fatal(err)
			}
			cfg := Config{Room: room}
			data := testPayload(32 << 20)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				var tasks sync.WaitGroup
				to := &mover{codec: codec}
				to.take.stored = make([]byte, 0, len(data))
				ready := make(chan string, 1)
				tasks.Go(func() {
					to.run(ctx, cfg, newPipe(), func(v *mover) bool {
						select {
						case ready <- v.id:
						default:
						}
						return false
					})
				})
				from := &mover{codec: codec, send: newSending(data)}
				from.send.to = []string{<-ready}
				from.run(ctx, cfg, newPipe(), func(v *mover) bool { return v.send.over })
				cancel()
				tasks.Wait()
				if from.fault != nil || to.fault != nil || from.send.reason != "" || !to.take.done {
					b.Fatal(from.fault, to.fault, from.send.reason)
				}
			}
		})
	}
}
