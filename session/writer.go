package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// reply is what the reader has for the client: a message, or the end, after a
// last message if there is one.
type reply struct {
	m   *Message
	end *End
}

// reply queues a reply. While the queue is full it waits, so that a client that
// does not read is not read either. It reports whether the session goes on.
func (s *session) reply(r reply) bool {
	defer s.signal()
	select {
	case s.replies <- r:
		return r.end == nil
	default: // to wait costs more
	}
	select {
	case s.replies <- r:
		return r.end == nil
	case <-s.ctx.Done():
		return false
	}
}

// tell hands the writer messages of the graph, or of the roster, of which it has one piece at most
// waiting. It reports false if ctx ended before.
func (s *session) tell(ctx context.Context, piece [][]byte) bool {
	select {
	case s.nodes <- piece:
		s.signal()
		return true
	case <-ctx.Done():
		return false
	}
}

// signal has the writer look for what is to be written.
func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the writer: replies first, and from the welcome on what the seat
// hears, in turn with what the graph says. It waits on one channel for all of that,
// which costs less than a select.
func (s *session) write() {
	for s.ctx.Err() == nil {
		if r, ok := s.nextReply(); ok {
			if !s.writeReplies(r) {
				return
			}
			continue
		}
		if s.welcomed && !s.writeHeard() {
			return
		}
		if wrote, ok := s.writeNodes(); !ok {
			return
		} else if !wrote {
			<-s.wake
		}
	}
}

// writeNodes sends a piece of what the graph says. It reports whether there was one,
// and whether the session goes on.
func (s *session) writeNodes() (wrote, ok bool) {
	select {
	case piece := <-s.nodes:
		return true, s.send(piece)
	default:
		return false, true
	}
}

// writeHeard sends what the seat has heard, until nothing is left. An event
// counts as waiting until the batch that it is in was written.
func (s *session) writeHeard() bool {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	for {
		events, err := s.seat.Poll(b.events[:0])
		if cap(events) <= keptEvents {
			b.events = events
		}
		if err != nil {
			s.end(seatEnd(err, s.Limits.Pending))
			return false
		}
		if len(events) == 0 {
			return true
		}
		if !s.writeEvents(events, &b.encoded) {
			return false
		}
	}
}

// batch is the events that are being written. A session that hears nothing has
// no memory for them.
type batch struct {
	events  []engine.Event
	encoded [writeCount][]byte
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// keptEvents is the size from which on a batch's memory is not kept.
const keptEvents = 1024

// writeReplies sends a reply and all that wait. It reports whether the session
// goes on.
func (s *session) writeReplies(r reply) bool {
	var out [][]byte
	for n := 1; ; n++ {
		if r.m != nil {
			out = append(out, s.Codec.Encode(r.m))
			s.welcomed = s.welcomed || r.m.Op == OpWelcome
		}
		if r.end != nil || n == maxReplies {
			break
		}
		var more bool
		if r, more = s.nextReply(); !more {
			break
		}
	}
	if !s.send(out) {
		return false
	}
	if r.end != nil {
		s.end(r.end)
	}
	return r.end == nil
}

func (s *session) nextReply() (reply, bool) {
	select {
	case r := <-s.replies:
		return r, true
	default:
		return reply{}, false
	}
}

// What is written at once. Larger pieces would spare little, and replies wait
// for them.
const (
	writeCount = 64
	writeBytes = 64 << 10
)

// writeEvents sends a batch piece by piece, and in between what the graph says and
// the replies that come meanwhile: so an error comes before the acknowledgement that covers it.
// It reports whether the session goes on.
func (s *session) writeEvents(batch []engine.Event, encoded *[writeCount][]byte) bool {
	defer clear(batch)
	defer clear(encoded[:])
	for len(batch) > 0 {
		if r, ok := s.nextReply(); ok && !s.writeReplies(r) {
			return false
		}
		if _, ok := s.writeNodes(); !ok {
			return false
		}
		out := encoded[:0]
		for n := 0; len(batch) > 0 && len(out) < writeCount && n < writeBytes; batch = batch[1:] {
			raw := s.encodeEvent(batch[0])
			out = append(out, raw)
			n += len(raw)
		}
		if !s.send(out) {
			return false
		}
	}
	return true
}

const (
	patience  = 10 * time.Second
	leastRate = 16 << 10 // bytes a second
)

// Patience is how long a client may take to read, or to send, a number of bytes at
// once: 10 s in any case, and a second for each 16 KiB.
func Patience(bytes int) time.Duration {
	return patience + time.Duration(bytes)*time.Second/leastRate
}

// send writes messages to the client. It reports false if that ended the
// session.
func (s *session) send(messages [][]byte) bool {
	size := 0
	for _, m := range messages {
		size += len(m)
	}
	limit := Patience(size)
	err := s.conn.Write(messages, s.Codec.Binary(), time.Now().Add(limit))
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.end(slow(fmt.Sprintf("%d bytes were not read within %v", size, limit.Round(time.Second))))
	default:
		s.gone(fmt.Errorf("write: %w", err))
	}
	return false
}

// encodeEvent makes an event a message. Those of the room are encoded once for
// all who receive them.
func (s *session) encodeEvent(e engine.Event) []byte {
	if e, ok := e.(*engine.Message); ok {
		return e.Encodings.Get(s.Codec.slot(), func() []byte {
			// Not a Message of its own: it is large, and would be garbage at once.
			s.encoding = Message{Op: OpMessage, Seq: e.Seq, Channel: e.Channel, From: e.From, Content: e.Content, Recent: e.History}
			defer func() { s.encoding = Message{} }()
			return s.Codec.Encode(&s.encoding)
		})
	}
	switch e := e.(type) {
	case engine.PeerEvent:
		return EncodePeer(s.Codec, e)
	case *engine.TransferChunk:
		return s.encodeChunk(e)
	}
	return s.Codec.Encode(s.message(e))
}

// message is what the client is told of an event.
func (s *session) message(e engine.Event) *Message {
	switch e := e.(type) {
	case engine.Progress:
		return &Message{
			Op: OpProgress, Seq: e.Ref, Channel: e.Channel, Peer: e.Peer, Fraction: e.Fraction,
			Content: engine.Content{Meta: e.Meta},
		}
	case engine.Result:
		return &Message{Op: OpResult, Seq: e.Ref, Peer: e.Peer, Error: reason(e.Err), Text: e.Err.Error()}
	case engine.Pong:
		m := &Message{Op: OpPong, ID: e.Ref, Peer: e.Peer}
		if e.Err != nil {
			m.Error = reason(e.Err)
		}
		return m
	case engine.MeshChange:
		return &Message{Op: OpMesh, Place: &e.State}
	case engine.Taken:
		return &Message{Op: OpAck, Seq: e.Ref}
	case engine.PingRequest:
		return &Message{Op: OpPing, ID: s.pings.asked(e.Token)}
	}
	if m := transferMessage(e); m != nil {
		return m
	}
	panic(fmt.Sprintf("session: event of type %T", e)) // engine.Event lists them all
}
