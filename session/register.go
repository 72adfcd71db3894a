package session

import (
	"context"
	"fmt"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Handler takes a client's message of an operation that was registered. Its seat
// is that of the client; reply sends a message back. An *Error is told to the
// client; any other error too, as bad_message. Messages of one client are handled
// one at a time, in their order among all others: who has to wait for something
// does so in a goroutine of his own, until ctx ends with the session's connection.
type Handler func(ctx context.Context, seat *engine.Attachment, m Message, reply func(Message)) error

// registered are the operations beside those of version 1.
var registered = map[Op]Handler{}

// Register adds an operation, in both encodings. Its messages can have the fields
// id, channel, peer, to, data and meta, in either direction, all optional and
// with the meaning and the bounds that they have in docs/gateway.md. It is for
// init functions: it must not be called once sessions are served. It panics if
// there is an operation of that name.
func Register(op Op, h Handler) {
	if _, ok := uses[op]; ok || op == "" {
		panic(fmt.Sprintf("session: operation %q is registered twice", op))
	}
	uses[op] = []use{{fID, true}, {fChannel, true}, {fPeer, true}, {fTo, true}, {fData, true}, {fMeta, true}}
	registered[op] = h
}

// onRegistered has a message handled. It reports whether the session goes on.
func (s *session) onRegistered(h Handler, m *Message) bool {
	op := m.Op
	err := h(s.ctx, s.seat, *m, func(answer Message) {
		answer.Op = op
		s.reply(reply{m: &answer})
	})
	if err != nil && s.ctx.Err() == nil {
		return s.refuse(asFault(CodeBadMessage, err), 0, m.ID)
	}
	return true
}
