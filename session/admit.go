package session

import (
	"context"
	"errors"
)

// MaxCredential is the number of bytes that a token or a password may have.
const MaxCredential = 8 << 10

// admit judges what hello shows, and what the session may do by it. A session
// that is resumed needs no password, which was asked for when it began: then
// the refusal is returned, for the case that there is nothing to resume. It
// reports false if it ended the session.
func (s *session) admit(hello *Message) (refused *Error, ok bool) {
	if max(len(hello.Token), len(hello.Password)) > MaxCredential {
		s.quit(fault(CodeToken, "credentials have at most %d bytes", MaxCredential), ClosePolicy)
		return nil, false
	}
	if s.Admit != nil {
		s.grant, refused = s.Admit(hello.Token, hello.Password)
	} else if !s.Room.CheckPassword(hello.Password) {
		refused = fault(CodePassword, "the room has another password")
	}
	later := refused != nil && refused.Code == CodePassword && hello.Password == "" && hello.Resume != ""
	if refused != nil && !later {
		s.quit(refused, ClosePolicy)
		return nil, false
	}
	return refused, true
}

// limit ends the connection when the grant ends: when its time is over, or
// Revoked says so. The session can be resumed with credentials that are good
// again. The connection's own end has to call stop; over is called when nothing
// is watched any more.
func (s *session) limit(over func()) (stop func()) {
	parent := s.Revoked
	if parent == nil {
		parent = context.Background()
	}
	life, stop := context.WithCancel(parent)
	if !s.grant.Expires.IsZero() {
		stop()
		life, stop = context.WithDeadlineCause(parent, s.grant.Expires, fault(CodeTokenExpired, "the token has expired"))
	}
	context.AfterFunc(life, func() {
		defer over()
		if s.ctx.Err() != nil {
			return
		}
		cause := context.Cause(life)
		if e, ok := errors.AsType[*Error](cause); ok {
			s.quit(e, CloseCredentials)
		} else if end, ok := errors.AsType[*End](cause); ok {
			s.over(nil, end)
		}
	})
	return stop
}

// hears is what the engine asks of the channels that the client may hear; nil
// for all, which costs nothing.
func (s *session) hears() func(channel string) bool {
	if s.grant.Subscribe == nil {
		return nil
	}
	return s.grant.MaySubscribe
}
