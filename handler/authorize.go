package handler

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// Auth is who may enter the rooms of a site. Any one of these opens a room, and
// so does the room's password, where it has one. The zero Auth lets everybody
// into rooms without a password.
type Auth struct {
	// Tokens judges the tokens of clients. Nil: there are none.
	Tokens *admission.Verifier
	// User returns whom the web server has authenticated, "" if nobody. Nil: it
	// does not.
	User func(*http.Request) string
}

func (a Auth) required() bool { return a.Tokens != nil || a.User != nil }

// credentials are what a client has shown.
type credentials struct {
	token    string
	user     string // the web server's word
	password string
}

// with adds what a hello shows.
func (c credentials) with(token, password string) credentials {
	c.token, c.password = cmp.Or(token, c.token), cmp.Or(password, c.password)
	return c
}

// shown returns the credentials of a request for a room (docs/gateway.md,
// "Credentials"). A ticket is used by that.
func (h *Handler) shown(r *http.Request, d door) (c credentials, fault *session.Error) {
	if id := r.URL.Query().Get("ticket"); id != "" {
		t := h.tickets.use(id)
		if t == nil || t.room != d.room {
			return credentials{}, badTicket
		}
		return t.shown, nil
	}
	if user := h.settings.Load().auth.User; user != nil {
		c.user = user(r)
	}
	header := r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		c.token = strings.TrimSpace(token)
	}
	if len(c.token) > session.MaxCredential {
		return credentials{}, tooLong
	}
	// The name beside a password means nothing here; to Caddy it does.
	if _, password, ok := r.BasicAuth(); ok && c.user == "" {
		c.password = password
	}
	if len(c.password) > session.MaxCredential {
		return credentials{}, tooLong
	}
	return c, nil
}

// judge tells what credentials allow in a room.
func (s *settings) judge(d door, c credentials) (session.Grant, *session.Error) {
	switch {
	case c.token != "" && s.auth.Tokens != nil:
		grant, err := s.auth.Tokens.Verify(c.token, d.name)
		if err != nil {
			return session.Grant{}, &session.Error{Code: tokenCode(err), Text: err.Error()}
		}
		return grant, nil
	case c.user != "" && s.auth.User != nil:
		return session.Grant{User: c.user}, nil
	case d.locked() && (c.password != "" || !s.auth.required()):
		switch {
		case c.password == "":
			return session.Grant{}, &session.Error{Code: session.CodePassword, Text: "the room has a password"}
		case !d.check(c.password):
			return session.Grant{}, &session.Error{Code: session.CodePassword, Text: "the room has another password"}
		}
		return session.Grant{}, nil
	case s.auth.required():
		return session.Grant{}, &session.Error{Code: session.CodeToken, Text: "the room needs credentials"}
	}
	return session.Grant{Anonymous: true}, nil
}

var tooLong = &session.Error{Code: session.CodeToken, Text: fmt.Sprintf("credentials have at most %d bytes", session.MaxCredential)}

func tokenCode(err error) session.Code {
	switch {
	case errors.Is(err, admission.ErrExpired):
		return session.CodeTokenExpired
	case errors.Is(err, admission.ErrRoom):
		return session.CodeForbidden
	}
	return session.CodeToken
}

// authorize judges the credentials of a request for a room: its Authorization
// header, the web server's own authentication, or a ticket, which cannot be used
// again. What the grant allows on a channel is left to the caller, who refuses
// with forbiddenChannel.
func (h *Handler) authorize(r *http.Request, d door, set *settings) (shown credentials, grant session.Grant, why *refusal) {
	shown, fault := h.shown(r, d)
	if fault == nil {
		grant, fault = set.judge(d, shown)
	}
	if fault != nil {
		return credentials{}, session.Grant{}, set.unauthorized(d, fault)
	}
	return shown, grant, nil
}

// unauthorized is the refusal of credentials (RFC 9110, section 11.6.1; RFC 6750,
// section 3).
func (s *settings) unauthorized(d door, fault *session.Error) *refusal {
	why := &refusal{reason: string(fault.Code), code: fault.Code, status: http.StatusUnauthorized, detail: fault.Text}
	if fault.Code == session.CodeForbidden {
		why.status = http.StatusForbidden
		return why
	}
	if s.auth.Tokens != nil {
		why.challenges = append(why.challenges, "Bearer")
	}
	if d.locked() {
		why.challenges = append(why.challenges, `Basic realm="genosrtc", charset="UTF-8"`)
	}
	return why
}

var forbiddenMedia = &refusal{
	reason: string(session.CodeForbidden), status: http.StatusForbidden,
	detail: "the credentials do not allow audio and video: that takes publish on " + engine.ChannelStream,
}

var forbiddenChannel = &refusal{
	reason: string(session.CodeForbidden), code: session.CodeForbidden, status: http.StatusForbidden,
	detail: "the credentials do not allow this on this channel",
}
