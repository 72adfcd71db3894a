package handler

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// held is what credentials hold open: a session or a stream. When the settings
// change they are judged again.
type held struct {
	h    *Handler
	room *engine.Room
	// ctx ends when the grant is good no longer, with a *session.Error as its
	// cause, or with session.Draining.
	ctx     context.Context
	revoke  context.CancelCauseFunc
	leaving *time.Timer // of a drain, guarded by Handler.mu; nil: none

	mu    sync.Mutex
	shown credentials
	grant *session.Grant // nil: not admitted yet
}

// hold begins to hold something open, until release.
func (h *Handler) hold(room *engine.Room) *held {
	e := &held{h: h, room: room}
	e.ctx, e.revoke = context.WithCancelCause(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[e] = struct{}{}
	if h.draining != nil {
		h.draining.end(e)
	}
	return e
}

func (e *held) release() {
	e.revoke(nil)
	e.h.mu.Lock()
	defer e.h.mu.Unlock()
	delete(e.h.held, e)
	if e.leaving != nil {
		e.leaving.Stop()
	}
}

// admit judges credentials, now and when the settings change.
func (e *held) admit(shown credentials) (session.Grant, *session.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set, door := e.h.settings.Load(), e.door()
	grant, fault := set.judge(door, shown)
	if !set.auth.required() && !door.locked() {
		shown = credentials{} // nobody asks for them, so nobody keeps them
	}
	if fault == nil || unasked(fault, shown) {
		e.shown, e.grant = shown, &grant
	}
	return grant, fault
}

// unasked tells whether all that is missing is a password, which a session that
// is resumed need not show again.
func unasked(fault *session.Error, shown credentials) bool {
	return fault != nil && fault.Code == session.CodePassword && shown.password == ""
}

func (e *held) door() door { return door{e.room.Name(), e.room} }

// again judges the credentials again. What is allowed by them now in another way
// than before has to begin anew.
func (e *held) again() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.grant == nil {
		return
	}
	grant, fault := e.h.settings.Load().judge(e.door(), e.shown)
	if unasked(fault, e.shown) {
		fault = nil
	}
	if fault == nil && !reflect.DeepEqual(grant, *e.grant) {
		fault = &session.Error{Code: session.CodeToken, Text: "the server's configuration has changed: show the credentials again"}
	}
	if fault != nil {
		e.revoke(fault)
	}
}

// holdAgain judges everybody's credentials again.
func (h *Handler) holdAgain() {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.held))
	h.mu.Unlock()
	for _, e := range all {
		e.again()
	}
}
