package session

import (
	"context"
	"errors"
	"fmt"
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

// keptEvents is the size from which on a batch's memory is not kept.
const keptEvents = 1024

// listen hands what the seat hears to the writer. An event counts as waiting
// until the batch that it is in was written.
func (s *session) listen() {
	var batch []engine.Event
	for {
		if cap(batch) > keptEvents {
			batch = nil
		}
		var err error
		if batch, err = s.seat.Next(s.ctx, batch[:0]); err != nil {
			s.end(seatEnd(err, s.Limits.Pending))
			return
		}
		select {
		case s.events <- batch:
		case <-s.ctx.Done():
			return
		}
		select {
		case <-s.written:
		case <-s.ctx.Done():
			return
		}
	}
}

// write is the writer: replies first.
func (s *session) write() {
	for {
		select {
		case r := <-s.replies:
			if !s.writeReplies(r) {
				return
			}
		case batch := <-s.events:
			if !s.writeEvents(batch) {
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// writeReplies sends a reply and all that wait. It reports whether the session
// goes on.
func (s *session) writeReplies(r reply) bool {
	var out [][]byte
	for n := 1; ; n++ {
		if r.m != nil {
			out = append(out, s.Codec.Encode(r.m))
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

// writeEvents sends a batch piece by piece, and in between the replies that
// come meanwhile: so an error comes before the acknowledgement that covers it. It reports whether the session goes on.
func (s *session) writeEvents(batch []engine.Event) bool {
	var out [][]byte
	for len(batch) > 0 {
		if r, ok := s.nextReply(); ok && !s.writeReplies(r) {
			return false
		}
		out = out[:0]
		for n := 0; len(batch) > 0 && len(out) < writeCount && n < writeBytes; batch = batch[1:] {
			raw := s.encodeEvent(batch[0])
			out = append(out, raw)
			n += len(raw)
			batch[0] = nil
		}
		if !s.send(out) {
			return false
		}
		clear(out)
	}
	select {
	case s.written <- struct{}{}:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// send writes messages to the client. It reports false if that ended the
// session.
func (s *session) send(messages [][]byte) bool {
	size := 0
	for _, m := range messages {
		size += len(m)
	}
	// Not the session's context: a message that is half written when the
	// session ends would leave no way to tell the client why.
	limit := writeTime + time.Duration(size)*time.Second/writeRate
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.conn.Write(ctx, messages, s.Codec.Binary())
	switch {
	case err == nil:
		return true
	case errors.Is(err, context.DeadlineExceeded):
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
	if e, ok := e.(*engine.TransferChunk); ok {
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
	case engine.PeerEvent:
		return &Message{Op: OpPeer, Event: changes[e.Change], Peer: e.Peer.ID, Type: e.Peer.Type}
	case engine.Result:
		return &Message{Op: OpResult, Seq: e.Ref, Peer: e.Peer, Error: reason(e.Err), Text: e.Err.Error()}
	case engine.Pong:
		m := &Message{Op: OpPong, ID: e.Ref, Peer: e.Peer}
		if e.Err != nil {
			m.Error = reason(e.Err)
		}
		return m
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

var changes = map[engine.PeerChange]string{
	engine.PeerJoin:  "join",
	engine.PeerLeave: "leave",
	engine.PeerSeen:  "seen",
	engine.PeerLost:  "lost",
}
