package handler

import (
	"net/http"
	"slices"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// visit is a request to a room by plain HTTP that may go on.
type visit struct {
	door  door
	room  *engine.Room
	set   *settings
	shown credentials
	grant session.Grant
}

// visit finds the room of a request, and judges its method, its origin and its
// credentials. Where it may not go on, or is a preflight, it is answered.
func (h *Handler) visit(w http.ResponseWriter, r *http.Request, methods ...string) (*visit, bool) {
	v, ok := h.approach(w, r, methods...)
	if !ok {
		return nil, false
	}
	var why *refusal
	if v.room, why = h.enter(v.door, network(h.clientIP(r))); why != nil {
		h.refuse(w, why)
		return nil, false
	}
	return v, true
}

// approach is visit, but for a room that would have to be opened.
func (h *Handler) approach(w http.ResponseWriter, r *http.Request, methods ...string) (*visit, bool) {
	set := h.settings.Load()
	set.readable(w, r)
	if r.Method == http.MethodOptions {
		h.preflight(w, r, set, methods)
		return nil, false
	}
	if !allowed(w, r, append(methods, http.MethodOptions)...) {
		return nil, false
	}
	v := &visit{set: set}
	var why *refusal
	v.door, why = h.door(r, set)
	if why == nil && !set.anyOrigin && set.crossOrigin.Check(r) != nil {
		why = foreignOrigin
	}
	if why == nil {
		v.shown, v.grant, why = h.authorize(r, v.door, set)
	}
	if why != nil {
		h.turnAway(w, r, why)
		return nil, false
	}
	v.room = v.door.room
	return v, true
}

// requestHeaders are those that a script may send beside the safe ones.
const requestHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"

// readable lets scripts of the origins that may connect read the response (Fetch
// Standard, "CORS protocol"), with credentials where an origin was named.
func (s *settings) readable(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !s.allows(r) {
		return
	}
	if s.anyOrigin {
		origin = "*"
	} else {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Add("Access-Control-Expose-Headers", "ETag, Location, Retry-After")
}

// preflight answers OPTIONS. It asks for no credentials, since browsers send none
// with it, and says nothing of the room, so that the request itself is told.
func (h *Handler) preflight(w http.ResponseWriter, r *http.Request, set *settings, methods []string) {
	if !set.allows(r) {
		h.refuse(w, foreignOrigin)
		return
	}
	list := strings.Join(append(slices.Clone(methods), http.MethodOptions), ", ")
	w.Header().Set("Allow", list)
	if r.Header.Get("Access-Control-Request-Method") != "" {
		w.Header().Set("Access-Control-Allow-Methods", list)
		w.Header().Add("Access-Control-Allow-Headers", requestHeaders)
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// badRequest is the refusal of a request that is at fault itself.
func badRequest(status int, detail string) *refusal {
	return &refusal{reason: "request", status: status, detail: detail}
}

// unavailable is the refusal of a request that the room cannot serve now.
func unavailable(err error) *refusal {
	return &refusal{reason: "room", status: http.StatusServiceUnavailable, retryAfter: "5", detail: err.Error()}
}
