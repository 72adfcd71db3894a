package handler

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// problem answers with a problem document (RFC 9457). Scripts of any origin may
// read it, as browsers hide from them why a WebSocket was refused; it says
// nothing that opening one would not. A code, if there is one, is that of the
// session protocol.
func problem(w http.ResponseWriter, status int, code session.Code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if w.Header().Get("Access-Control-Allow-Origin") == "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
	w.WriteHeader(status)
	// An error is the client's going away.
	_ = json.NewEncoder(w).Encode(struct {
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Detail string       `json:"detail"`
		Code   session.Code `json:"code,omitempty"`
	}{http.StatusText(status), status, detail, code})
}

// allowed answers 405 unless the request has one of the methods.
func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	problem(w, http.StatusMethodNotAllowed, "", r.Method+" is not possible here")
	return false
}
