package handler

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// serveGuest is the resource of a session over WebRTC (RFC 9725, sections 4.2 and 4.3).
func (h *Handler) serveGuest(w http.ResponseWriter, r *http.Request) {
	whipHeader(w, r, "Accept-Patch", typeFragment)
	set := h.settings.Load()
	g, ok := h.resource(w, r, set)
	if !ok {
		return
	}
	switch r.Method {
	case http.MethodPatch:
		h.patch(w, r, g, set.strictWHIP)
		return
	case http.MethodDelete: // whatever If-Match says
		h.guests.delete(g)
	}
	w.WriteHeader(http.StatusNoContent)
}

// resource finds the session of a request. Its secret URL is enough, unless the
// site is strict; but credentials that are shown must be
// good. Where it may not go on, or is a preflight, it is answered.
func (h *Handler) resource(w http.ResponseWriter, r *http.Request, set *settings) (*guest, bool) {
	set.readable(w, r)
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodDelete}
	if r.Method == http.MethodOptions {
		h.preflight(w, r, set, methods)
		return nil, false
	}
	if !allowed(w, r, append(methods, http.MethodOptions)...) {
		return nil, false
	}
	door, why := h.door(r, set)
	if why == nil && (set.strictWHIP || r.Header.Get("Authorization") != "") {
		_, _, why = h.authorize(r, door, set)
	}
	if why != nil {
		h.refuse(w, why)
		return nil, false
	}
	g := h.guests.get(r.PathValue("room"), r.PathValue("session"))
	if g == nil {
		notFound(w, r)
		return nil, false
	}
	return g, true
}

var (
	needsMatch = badRequest(http.StatusPreconditionRequired,
		"If-Match is missing: the ETag of the ICE session that the candidates are of, or * to restart ICE")
	otherSession  = badRequest(http.StatusPreconditionFailed, "If-Match: another ICE session has begun since")
	needsWildcard = badRequest(http.StatusPreconditionFailed, "If-Match: must be * to restart ICE")
	halfRestart   = badRequest(http.StatusBadRequest, "a restart of ICE needs another ice-ufrag and another ice-pwd")
	tooQuick      = &refusal{reason: "request", status: http.StatusTooManyRequests, retryAfter: "1", detail: "too many requests for one session"}
)

// restartTime bounds a restart of ICE, which waits for STUN servers.
const restartTime = 10 * time.Second

// patch takes candidates of the client, or restarts ICE (RFC 9725, section 4.3).
func (h *Handler) patch(w http.ResponseWriter, r *http.Request, g *guest, strict bool) {
	if !g.patches.Allow() {
		h.refuse(w, tooQuick)
		return
	}
	body, why := readDescription(w, r, typeFragment)
	if why != nil {
		h.refuse(w, why)
		return
	}
	f, err := parseFragment(body)
	if err != nil {
		h.refuse(w, badRequest(http.StatusBadRequest, err.Error()))
		return
	}
	// One at a time, so that the tag is what it was judged by.
	select {
	case g.patching <- struct{}{}:
		defer func() { <-g.patching }()
	case <-r.Context().Done():
		return
	}
	restart, why := g.precondition(r, f, strict)
	var answer string
	switch {
	case why != nil:
	case restart:
		// Whether the client still listens or not: half a restart is none.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), restartTime)
		defer cancel()
		answer, err = g.peer.Restart(ctx, f.ufrag, f.pwd, f.candidates)
		why = h.unpatched(err)
	default:
		for _, line := range f.candidates {
			if why = h.unpatched(g.peer.AddCandidate(line)); why != nil {
				break
			}
		}
	}
	switch {
	case why != nil:
		h.refuse(w, why)
	case !restart:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeFragment)
		w.Header().Set("ETag", g.next())
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, fragmentOf(answer)) // an error is the client's going away
	}
}

// precondition judges If-Match (RFC 9725, section 4.3.1), and whether a fragment
// restarts ICE. Without If-Match a fragment must name the ICE session by its
// credentials, unless the site is strict.
func (g *guest) precondition(r *http.Request, f fragment, strict bool) (restart bool, why *refusal) {
	ufrag, pwd := g.peer.Credentials()
	restart = f.ufrag != "" && f.ufrag != ufrag || f.pwd != "" && f.pwd != pwd
	tags := etags(r, "If-Match")
	wildcard, current := slices.Equal(tags, []string{"*"}), slices.Contains(tags, g.tag())
	switch {
	case len(tags) == 0 && (strict || restart || f.ufrag == "" || f.pwd == ""):
		return false, needsMatch
	case len(tags) > 0 && !wildcard && !current:
		return false, otherSession
	case restart && strict && !wildcard:
		return false, needsWildcard
	case restart && (f.ufrag == "" || f.ufrag == ufrag || f.pwd == "" || f.pwd == pwd):
		return false, halfRestart
	}
	return restart, nil
}

// unpatched is the refusal of what a fragment asks for.
func (h *Handler) unpatched(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rtc.ErrCandidate):
		return badRequest(http.StatusBadRequest, err.Error())
	case errors.Is(err, rtc.ErrTooManyCandidates):
		return badRequest(http.StatusUnprocessableEntity, err.Error())
	}
	h.log.Warn("ICE could not be restarted", "error", err)
	return &refusal{reason: "webrtc", status: http.StatusServiceUnavailable, retryAfter: "1", detail: "ICE could not be restarted; the session goes on"}
}
