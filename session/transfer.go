package session

import (
	"errors"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// kinds are the values of a transfer's field kind.
var kinds = map[string]engine.Kind{"bytes": engine.Binary, "text": engine.Text, "json": engine.JSON}

var kindNames = map[engine.Kind]string{engine.Binary: "bytes", engine.Text: "text", engine.JSON: "json"}

// onTransfer takes a message about a transfer, which err says could not be
// decoded. It reports whether the session goes on.
func (s *session) onTransfer(m *Message, err error) bool {
	var step engine.TransferStep
	if err == nil {
		step, err = transferStep(m)
	}
	if begin, ok := step.(*engine.TransferBegin); ok && err == nil && begin.From == "" && !s.grant.MayPublish(begin.Channel) {
		err = fault(CodeForbidden, "begin: channel: the credentials do not allow sending on it")
	}
	if err == nil {
		err = s.seat.Transfer(s.ctx, step)
	}
	if err == nil {
		return true
	}
	e := transferFault(m.Op, err)
	if e == nil {
		return true // the seat has ended, of which the writer hears
	}
	about := Message{Transfer: m.Transfer, From: m.From}
	if len(about.From) > engine.MaxPeerID {
		about.From = ""
	}
	return s.refuseAbout(about, e)
}

// transferStep is what a client's message means to the room.
func transferStep(m *Message) (engine.TransferStep, error) {
	if m.Transfer == 0 {
		return nil, fault(CodeBadTransfer, "%s: transfer must be from 1 to %d", m.Op, uint64(maxInteger))
	}
	if len(m.From) > engine.MaxPeerID {
		return nil, fault(CodeBadMessage, "%s: from is longer than %d bytes", m.Op, engine.MaxPeerID)
	}
	switch m.Op {
	case OpBegin:
		return beginStep(m)
	case OpChunk:
		if m.Content.Kind != engine.Binary {
			return nil, fault(CodeBadData, "chunk: data must be bytes")
		}
		return &engine.TransferChunk{ID: m.Transfer, Offset: *m.Offset, Data: m.Content.Data}, nil
	case OpAck:
		if m.Offset == nil {
			return nil, fault(CodeBadOffset, "ack: offset is missing")
		}
		return &engine.TransferAck{ID: m.Transfer, From: m.From, Offset: *m.Offset}, nil
	case OpEnd:
		return &engine.TransferEnd{ID: m.Transfer, From: m.From, Hash: m.Hash}, nil
	}
	if len(m.Reason) > engine.MaxTransferReason {
		return nil, fault(CodeBadMessage, "cancel: reason is longer than %d bytes", engine.MaxTransferReason)
	}
	return &engine.TransferCancel{ID: m.Transfer, From: m.From, Reason: m.Reason}, nil
}

// beginStep is a sender's question, or with from a recipient's answer.
func beginStep(m *Message) (engine.TransferStep, error) {
	b := &engine.TransferBegin{ID: m.Transfer, From: m.From}
	if m.Offset != nil {
		b.Offset = *m.Offset
	}
	if m.From != "" {
		if m.Offset == nil {
			return nil, fault(CodeBadOffset, "begin: offset is missing in the answer")
		}
		return b, nil
	}
	kind, known := kinds[m.Kind]
	switch {
	case !known:
		return nil, fault(CodeBadTransfer, `begin: kind must be "bytes", "text" or "json"`)
	case m.Size == nil:
		return nil, fault(CodeBadTransfer, "begin: size is missing")
	}
	for _, to := range m.To {
		if len(to) > engine.MaxPeerID {
			return nil, fault(CodeBadMessage, "to: a peer id is longer than %d bytes", engine.MaxPeerID)
		}
	}
	b.Channel, b.Kind, b.Size, b.To, b.Meta = m.Channel, kind, *m.Size, m.To, m.Content.Meta
	return b, nil
}

// transferFault is what the client is told of an error, nil if that is no fault
// of its message.
func transferFault(op Op, err error) *Error {
	for e, code := range map[error]Code{
		engine.ErrBadTransfer:     CodeBadTransfer,
		engine.ErrUnknownTransfer: CodeNoTransfer,
		engine.ErrBadOffset:       CodeBadOffset,
		engine.ErrChannelName:     CodeChannelName,
		engine.ErrTooMany:         CodeTooMany,
	} {
		if errors.Is(err, e) {
			return fault(code, "%s: %v", op, err)
		}
	}
	if errors.Is(err, engine.ErrTooLarge) {
		return fault(CodeTooLarge, "%s: meta has more than %d bytes", op, engine.MaxTransferMeta)
	}
	if broken, ok := errors.AsType[*engine.RuleError](err); ok {
		return fault(CodeRule, "%v", broken)
	}
	e, _ := errors.AsType[*Error](err)
	return e
}

// encodeChunk encodes a chunk once for all who receive it whole.
func (s *session) encodeChunk(c *engine.TransferChunk) []byte {
	return c.Encodings.Get(s.Codec.slot(), func() []byte {
		s.encoding = Message{
			Op: OpChunk, Transfer: c.ID, From: c.From, Offset: &c.Offset,
			Content: engine.Content{Kind: engine.Binary, Data: c.Data},
		}
		defer func() { s.encoding = Message{} }()
		return s.Codec.Encode(&s.encoding)
	})
}

// transferMessage is what the client is told of a transfer, nil for another
// event.
func transferMessage(e engine.Event) *Message {
	switch e := e.(type) {
	case *engine.TransferBegin:
		m := &Message{Op: OpBegin, Transfer: e.ID, From: e.From, Offset: &e.Offset}
		if e.From != "" {
			m.Channel, m.Kind, m.Size, m.Content.Meta = e.Channel, kindNames[e.Kind], &e.Size, e.Meta
		}
		return m
	case *engine.TransferAck:
		return &Message{Op: OpAck, Transfer: e.ID, From: e.From, Offset: &e.Offset}
	case *engine.TransferEnd:
		return &Message{Op: OpEnd, Transfer: e.ID, From: e.From, Hash: e.Hash}
	case *engine.TransferCancel:
		return &Message{Op: OpCancel, Transfer: e.ID, From: e.From, Reason: e.Reason}
	case engine.TransferProgress:
		return &Message{Op: OpProgress, Transfer: e.ID, Peer: e.Peer, Fraction: e.Fraction}
	case engine.TransferResult:
		m := &Message{Op: OpResult, Transfer: e.ID, Peer: e.Peer, Error: reason(e.Err), Text: e.Text}
		if m.Text == "" {
			m.Text = e.Err.Error()
		}
		return m
	}
	return nil
}
