package handler

import (
	"net/http"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

var (
	unauthorized     = &refusal{reason: "password", status: http.StatusUnauthorized, detail: "the room has a password"}
	forbiddenChannel = &refusal{reason: "forbidden", status: http.StatusForbidden, detail: "the credentials do not allow this on this channel"}
)

// authorize judges the credentials of a request for a room. What the grant allows
// on a channel is left to the caller, who refuses with forbiddenChannel.
func (h *Handler) authorize(r *http.Request, room *engine.Room, _ *settings) (session.Grant, *refusal) {
	_, password, _ := r.BasicAuth()
	if !room.CheckPassword(password) {
		return session.Grant{}, unauthorized
	}
	return session.Grant{}, nil
}
