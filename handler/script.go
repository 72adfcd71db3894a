package handler

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"
)

// script is a public file that pages of any origin may load.
type script struct {
	content []byte
	kind    string
	etag    string
}

func newScript(content []byte, kind string) *script {
	sum := sha256.Sum256(content)
	return &script{content, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

// ServeHTTP answers with the file, or 304 if the client has it already. It is
// asked every time, since the file changes with the server.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	w.Header().Set("Content-Type", s.kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Etag", s.etag)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}
