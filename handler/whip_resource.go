package handler

import "net/http"

// serveGuest is the resource of a session over WebRTC (RFC 9725, sections 4.2 to 4.4).
func (h *Handler) serveGuest(w http.ResponseWriter, r *http.Request) {
	whipHeader(w.Header(), "Accept-Patch", typeFragment)
	g, ok := h.resource(w, r)
	if !ok {
		return
	}
	switch r.Method {
	case http.MethodDelete:
		h.guests.remove(g)
		g.mu.Lock()
		g.deleted = true
		g.mu.Unlock()
		_ = g.peer.Close()
	}
	w.WriteHeader(http.StatusNoContent)
}

// resource finds the session of a request, which its secret URL names: that is
// enough, though credentials that are shown must be good. Where it may not go on, or
// is a preflight, it is answered.
func (h *Handler) resource(w http.ResponseWriter, r *http.Request) (*guest, bool) {
	set := h.settings.Load()
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
	if why == nil && r.Header.Get("Authorization") != "" {
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
