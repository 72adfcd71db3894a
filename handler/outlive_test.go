package handler

import (
	"net/http"
	"testing"
)

// TestSessionOutlivesItsRequest: the HTTP server has its memory back as soon as a
// session's WebSocket is open.
func TestSessionOutlivesItsRequest(t *testing.T) {
	s := serve(t, Config{})
	returned := make(chan struct{})
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.h.ServeHTTP(w, r)
		close(returned)
	})
	c := s.enter()
	<-returned
	c.say(`{"op":"ping","id":1}`)
	c.hear("pong")
	if n := s.h.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions are open", n)
	}
	c.say(`{"op":"leave"}`)
	eventually(t, "the session is still open", func() bool { return s.h.Stats().Sessions == 0 })
}
