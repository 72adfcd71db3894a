// Package session is the session protocol, version 1 (docs/gateway.md): how a
// client takes a seat in a room and exchanges messages with it. It knows
// messages and their two encodings, not what carries them: that is a [Conn],
// which package handler makes of a WebSocket.
package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Conn carries a session's messages.
type Conn interface {
	// Read waits for a message, which is valid until the next call. One
	// goroutine calls it, until it fails: when the connection is lost, or some
	// time after Close was called.
	Read() (message []byte, binary bool, err error)
	// Write sends messages, which it does not keep. One goroutine calls it. What
	// was not taken until the deadline is os.ErrDeadlineExceeded; whatever the
	// error, the connection is lost then. The end of the session does not end
	// it: half a message would leave no way to tell the client why.
	Write(messages [][]byte, binary bool, deadline time.Time) error
	// Close tells the client that the session is over, may wait a moment for
	// it to answer, and frees the connection. It is called once, and ends Read
	// and Write.
	Close(code int, reason string)
}

// Config is what a session needs.
type Config struct {
	Room     *engine.Room
	Codec    Codec
	Limits   Limits    // zero fields mean the default
	Counters *Counters // nil: nobody counts
	// Owner says whose the session is, and PerOwner how many of his may wait in
	// the room to be resumed, with those that are connected: see
	// engine.SeatConfig.
	Owner    string
	PerOwner int
	// Admit judges what hello shows, "" where it shows none; its error ends the
	// session. Nil: the room's password is what counts, and allows everything.
	Admit func(token, password string) (Grant, *Error)
	// ICE makes the list of STUN and TURN servers that the client is told in welcome.
	// Nil: none.
	ICE func(Grant) []ICEServer
	// Revoked ends the connection, when it ends with an *Error as its cause: the
	// grant is good no longer, but the session may be resumed. With an *End it ends
	// as that says. Nil: never.
	Revoked context.Context
	// Advised is what welcome tells as limits.message where that is less than
	// Limits.Message: what fits the connection in one piece. 0: it tells that.
	Advised int
	// Joined is called with the seat, once it is taken, and what its client may do. It must not block. Nil: nobody
	// needs it.
	Joined func(*engine.Attachment, Grant)
	// Pace is called before each message of the client that others hear of, or that is
	// about the graph. It may wait, until ctx ends, which holds the client back. Nil:
	// at any pace.
	Pace func(ctx context.Context)
}

// Defaults of Limits.
const (
	DefaultMessage = 2 << 20
	DefaultPending = 8 << 20
	DefaultResume  = 2 * time.Minute
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Message, DefaultMessage)
	set(&l.Pending, DefaultPending)
	if l.Resume <= 0 {
		l.Resume = DefaultResume
	}
	return l
}

const (
	// maxReplies is the number of replies that may wait for a client. With
	// more, nothing is read of it.
	maxReplies = 64
)

// session is one session. Its reader is the goroutine of Serve. Its writer
// takes replies from the reader, and what the seat hears.
type session struct {
	ctx  context.Context
	end  context.CancelCauseFunc // with an *End
	conn Conn
	Config
	seat *engine.Attachment

	tasks   sync.WaitGroup // all goroutines but the reader
	replies chan reply
	nodes   chan [][]byte // messages of the graph and the roster, as they are written
	telling chan struct{} // has room for the one watch that tells
	wake    chan struct{} // has room for one token; the writer waits for it
	pings   pings
	decided atomic.Pointer[End] // by the reader, before it is said

	// Of the writer.
	encoding Message
	welcomed bool // the welcome was written; seat is set before it is queued

	// Of the reader.
	grant    Grant  // since hello
	last     uint64 // the highest seq of the client
	lost     bool   // nothing more can be read
	faults   faults
	requests chan request        // to the graph; nil before the first
	answers  *semaphore.Weighted // bytes of maxAnswers; nil as requests
	watches  map[uint64]context.CancelFunc
}

// Serve runs one session until it ends, and returns why, which is an *End.
// When ctx ends, so does the session, as ctx's cause says if that is an *End
// and else as stopping. Serve closes conn and waits for all that it started.
func Serve(ctx context.Context, conn Conn, cfg Config) error {
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Limits.Window = cfg.Room.Window()
	if cfg.Counters == nil {
		cfg.Counters = new(Counters)
	}
	s := &session{
		conn: conn, Config: cfg,
		replies: make(chan reply, maxReplies),
		nodes:   make(chan [][]byte, 1),
		telling: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
	s.ctx, s.end = context.WithCancelCause(ctx)

	// Close ends the reads and writes under way, once the end is known.
	s.tasks.Add(1)
	context.AfterFunc(s.ctx, func() {
		defer s.tasks.Done()
		s.signal()
		end := endOf(s.ctx)
		conn.Close(end.Code, end.Reason)
	})
	s.tasks.Go(s.write)
	unlimited := func() {}
	if s.join() {
		// Others are not to wait for the closing handshake.
		s.tasks.Add(1)
		context.AfterFunc(s.ctx, func() {
			defer s.tasks.Done()
			if endOf(s.ctx).final() {
				s.seat.Leave()
			} else {
				s.seat.Detach()
			}
		})
		s.tasks.Add(1)
		unlimited = s.limit(s.tasks.Done)
		s.read()
	}
	for !s.lost { // last words are on their way, and the client answers
		_, _, err := conn.Read()
		s.lost = err != nil
	}
	<-s.ctx.Done()
	unlimited()
	s.tasks.Wait()

	end := endOf(s.ctx)
	if errors.Is(end, engine.ErrSlow) {
		cfg.Counters.slow.Add(1)
	}
	return end
}

// next reads a message. It reports false if that ended the session.
func (s *session) next() (Message, error, bool) {
	raw, binary, err := s.conn.Read()
	if err != nil {
		s.lost = true
		s.gone(err)
		return Message{}, nil, false
	}
	if binary != s.Codec.Binary() {
		s.over(nil, &End{Code: CloseUnsupported, Reason: "the wrong type of message for " + s.Codec.Subprotocol()})
		return Message{}, nil, false
	}
	m, err := s.Codec.Decode(raw)
	return m, err, true
}

// read takes the client's messages until the session ends.
func (s *session) read() {
	for s.ctx.Err() == nil {
		m, err, ok := s.next()
		if !ok || s.decided.Load() != nil || !s.handle(&m, err) {
			return
		}
	}
}

// handle takes one message, which err says could not be decoded. It reports
// whether the session goes on.
func (s *session) handle(m *Message, err error) bool {
	extra, ofGraph := registered[m.Op], aboutGraph(m.Op)
	if s.Pace != nil && (extra != nil || m.Op == OpSend || m.Op == OpBegin || m.Op == OpPing || m.Op == OpMesh || ofGraph) {
		s.Pace(s.ctx)
	}
	if ofGraph {
		return s.onGraph(m, err)
	}
	switch m.Op {
	case OpSend:
		return s.onSend(m, err)
	case OpHello:
		s.quit(fault(CodeHelloExpected, "hello came twice"), CloseProtocol)
		return false
	case OpBegin, OpChunk, OpEnd, OpCancel:
		return s.onTransfer(m, err)
	case OpAck, OpPing, OpPong, OpMesh, OpLeave:
	default:
		if extra == nil && (err == nil || uses[m.Op] != nil) {
			err = fault(CodeUnknownOp, "op %q is the server's", m.Op)
		}
	}
	if err == nil && len(m.Peer) > engine.MaxPeerID {
		err = fault(CodeBadMessage, "%s: peer is longer than %d bytes", m.Op, engine.MaxPeerID)
	}
	if err != nil {
		return s.refuse(asFault(CodeBadMessage, err), 0, 0)
	}
	if extra != nil {
		return s.onRegistered(extra, m)
	}
	switch m.Op {
	case OpAck:
		if m.Transfer != 0 {
			return s.onTransfer(m, nil)
		}
		if m.Seq == 0 {
			return s.refuse(fault(CodeBadSeq, "ack: seq is missing"), 0, 0)
		}
		s.seat.Ack(m.Seq)
	case OpPing:
		return s.onPing(m)
	case OpPong:
		if token, ok := s.pings.answered(m.ID); ok {
			s.seat.Pong(token)
		}
	case OpMesh:
		s.onMesh(m.ID)
	case OpLeave:
		s.over(nil, errLeft)
		return false
	}
	return true
}

func (s *session) onPing(m *Message) bool {
	if m.Peer == "" {
		return s.reply(reply{m: &Message{Op: OpPong, ID: m.ID}})
	}
	if err := s.seat.Ping(s.ctx, m.ID, m.Peer); errors.Is(err, engine.ErrTooMany) {
		return s.refuse(fault(CodeTooMany, "ping: %v", err), 0, m.ID)
	}
	return true // another error ends the seat, of which the writer hears
}

func (s *session) onSend(m *Message, err error) bool {
	if m.Seq == 0 {
		return s.refuse(fault(CodeBadSeq, "send: seq must be an integer from 1 to %d", uint64(maxInteger)), 0, 0)
	}
	if m.Seq <= s.last {
		return s.skip(m.Seq) // a repetition
	}
	s.last = m.Seq
	if err == nil {
		err = s.post(m)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return s.refuse(e, m.Seq, 0) && s.skip(m.Seq)
	}
	return true // another error ends the seat, of which the writer hears
}

// skip has a send be acknowledged that is not given to the room, after those
// that were.
func (s *session) skip(seq uint64) bool {
	_ = s.seat.Skip(s.ctx, seq) // an error ends the seat, of which the writer hears
	return true
}

// post gives a message to the room. Its error is an *Error if the message is at
// fault.
func (s *session) post(m *Message) error {
	if !engine.ValidChannel(m.Channel) {
		return fault(CodeChannelName, "channel: %d bytes; %v", len(m.Channel), engine.ErrChannelName)
	}
	if !s.grant.MayPublish(m.Channel) {
		return fault(CodeForbidden, "channel: the credentials do not allow sending on it")
	}
	if n := len(m.Content.Data) + len(m.Content.Meta); n > s.Limits.Message {
		return fault(CodeTooLarge, "data and meta: %d bytes, at most %d", n, s.Limits.Message)
	}
	for _, to := range m.To {
		if len(to) > engine.MaxPeerID {
			return fault(CodeBadMessage, "to: a peer id is longer than %d bytes", engine.MaxPeerID)
		}
	}
	err := s.seat.Send(s.ctx, engine.Outgoing{
		Ref: m.Seq, Channel: m.Channel, Content: m.Content, To: m.To, Progress: m.Progress,
	})
	if errors.Is(err, engine.ErrTooLarge) {
		return fault(CodeTooLarge, "data and meta: %d bytes; %v", len(m.Content.Data)+len(m.Content.Meta), err)
	}
	if broken, ok := errors.AsType[*engine.RuleError](err); ok {
		return fault(CodeRule, "%v", broken)
	}
	return err
}

// refuse tells the client of a fault. It reports whether the session goes on:
// not with the last of too many.
func (s *session) refuse(e *Error, seq, id uint64) bool {
	return s.refuseAbout(Message{Seq: seq, ID: id}, e)
}

// refuseAbout is refuse with what the fault is about.
func (s *session) refuseAbout(about Message, e *Error) bool {
	s.Counters.count(e.Code)
	about.Op, about.Code, about.Text = OpError, e.Code, e.Text
	if !s.reply(reply{m: &about}) {
		return false
	}
	// An application's mistake is not one in the protocol, and what was sent
	// while there was no connection comes faster than any rate.
	if e.Code != CodeRule && s.faults.tooMany(time.Now()) {
		s.quit(fault(CodeTooManyErrors, "%d errors within %v", maxFaults, faultTime), ClosePolicy)
		return false
	}
	return true
}

// quit tells the client of a fault that ends the session.
func (s *session) quit(e *Error, code int) {
	s.counted(e.Code, e.Text, &End{Code: code, Reason: string(e.Code), Err: e})
}

func (s *session) counted(code Code, text string, end *End) {
	s.Counters.count(code)
	s.over(&Message{Op: OpError, Code: code, Text: text}, end)
}

// over has a last message sent, if there is one, and then ends the session. That
// the connection is lost meanwhile does not change why.
func (s *session) over(m *Message, end *End) {
	s.decided.CompareAndSwap(nil, end)
	s.reply(reply{m: m, end: end})
}

// gone ends a session whose connection is lost, or was ended by its Conn with an End.
func (s *session) gone(err error) {
	if end := s.decided.Load(); end != nil {
		s.end(end)
		return
	}
	if end, ok := errors.AsType[*End](err); ok {
		s.end(end)
		return
	}
	s.end(lost(err))
}
