package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Codes that a session's transport is closed with (RFC 6455, section 7.4.1, and
// the IANA registry for 1013). docs/gateway.md, "The end", says when.
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	ClosePolicy      = 1008
	CloseFault       = 1011
	// CloseRestart is of the IANA registry too.
	CloseRestart  = 1012
	CloseTryAgain = 1013
	// CloseResumed is of the range that RFC 6455, section 7.4.2, leaves to
	// applications.
	CloseResumed = 4000
	// CloseCredentials asks to resume with credentials that are good.
	CloseCredentials = 4001
)

// End is why a session ended. Its code and reason are what the transport is
// closed with; a transport that is lost already cannot be.
type End struct {
	Code   int
	Reason string // at most 123 bytes, as RFC 6455 has it
	Err    error  // what happened, or nil
}

func (e *End) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

func (e *End) Unwrap() error { return e.Err }

// Stopping ends the sessions of a server that stops, as the cause of their
// context.
var Stopping = &End{Code: CloseGoingAway, Reason: "server stopping"}

// Draining ends the sessions of a server that takes no new ones, as the cause of
// Config.Revoked. They can be resumed where their seats are known.
var Draining = &End{Code: CloseRestart, Reason: "server draining"}

// final tells whether the session ended with its transport, and cannot be
// resumed.
func (e *End) final() bool {
	return e == errLeft || e.Code == CloseProtocol || e.Code == CloseUnsupported || e.Code == ClosePolicy
}

var errLeft = &End{Code: CloseNormal, Reason: "left"}

func lost(err error) *End { return &End{Code: CloseNormal, Reason: "connection lost", Err: err} }

func slow(reason string) *End {
	return &End{Code: CloseTryAgain, Reason: "slow: " + reason, Err: engine.ErrSlow}
}

// endOf says why the context of a session ended.
func endOf(ctx context.Context) *End {
	if e, ok := errors.AsType[*End](context.Cause(ctx)); ok {
		return e
	}
	return Stopping
}

// seatEnd is the end that an error of the seat means.
func seatEnd(err error, pending int) *End {
	switch {
	case errors.Is(err, engine.ErrKicked):
		return &End{Code: ClosePolicy, Reason: "kicked", Err: err}
	case errors.Is(err, engine.ErrStalled):
		return slow("messages are not acknowledged")
	case errors.Is(err, engine.ErrSlow):
		return slow(fmt.Sprintf("more than %d bytes waiting", pending))
	case errors.Is(err, engine.ErrOverflow):
		return slow("more was missed than the server keeps")
	case errors.Is(err, engine.ErrResumed):
		return &End{Code: CloseResumed, Reason: "resumed elsewhere", Err: err}
	case errors.Is(err, engine.ErrClosed):
		return &End{Code: CloseGoingAway, Reason: "room closed", Err: err}
	}
	return &End{Code: CloseFault, Reason: "fault of the server", Err: err}
}

// notResumed is why a session could not be resumed, as the client is told it.
func notResumed(err error) string {
	switch {
	case errors.Is(err, engine.ErrExpired):
		return "expired"
	case errors.Is(err, engine.ErrOverflow):
		return "overflow"
	case errors.Is(err, engine.ErrLeft):
		return "left"
	}
	return "unknown"
}

// reasons are the errors that the engine reports of a recipient or a ping, as
// clients are told them.
var reasons = map[error]string{
	engine.ErrTooLarge:    "too_large",
	engine.ErrUnknownPeer: "unknown_peer",
	engine.ErrPeerSlow:    "slow",
	engine.ErrPeerGone:    "gone",
	engine.ErrPingTimeout: "timeout",
	engine.ErrBusy:        "busy",
	engine.ErrRefused:     "refused",
	engine.ErrCorrupt:     "corrupt",
	engine.ErrNotHeard:    "forbidden",
	engine.ErrOtherCell:   "other_cell",
}

func reason(err error) string {
	for e, name := range reasons {
		if errors.Is(err, e) {
			return name
		}
	}
	return "gone"
}
