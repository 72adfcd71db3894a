package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// A stream is opened by a ticket, once, and ends when the settings take another
// view of what the ticket stands for.
func TestStreamIsJudgedAgain(t *testing.T) {
	auth := func(key string) (Auth, string) {
		cfg := admission.Config{Algorithm: "HS256", Key: bytes.Repeat([]byte(key), 32), Audience: "demo"}
		tokens, err := admission.NewVerifier(cfg)
		if err != nil {
			t.Fatal(err)
		}
		token, err := admission.Mint(cfg, admission.Claims{User: "ada", Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return Auth{Tokens: tokens}, token
	}
	old, token := auth("a")
	s := serve(t, Config{Settings: Settings{Auth: old}})
	url := s.server.URL + "/genosrtc/rooms/demo/"
	request(t, http.MethodGet, url+"events", nil).want(http.StatusUnauthorized)
	var answer struct{ Ticket string }
	a := request(t, http.MethodPost, url+"tickets", http.Header{"Authorization": {"Bearer " + token}})
	if err := json.Unmarshal(a.body, &answer); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"events?ticket="+answer.Ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(r)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", stream, err)
	}
	defer stream.Body.Close()
	request(t, http.MethodGet, url+"events?ticket="+answer.Ticket, nil).want(http.StatusUnauthorized)

	first := make([]byte, 6) // "event:", or what else begins it: it is open
	if _, err := io.ReadFull(stream.Body, first); err != nil {
		t.Fatal(err)
	}
	if err := s.h.Configure(Settings{Auth: old, Origins: []string{"https://other.example"}}); err != nil {
		t.Fatal(err)
	}
	fresh, _ := auth("b")
	if err := s.h.Configure(Settings{Auth: fresh}); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stream.Body)
	if err != nil || !bytes.Contains(rest, []byte("\n: token: the token is not valid")) {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if n := len(s.h.held); n != 0 {
		t.Errorf("%d are still held", n)
	}
}

// Who resumed in a room with a password, without showing that again, goes on
// until the site asks for more.
func TestResumedWithoutPasswordIsJudgedAgain(t *testing.T) {
	s := serve(t, Config{})
	room, err := s.node.Open(engine.RoomConfig{Name: "secret", Password: "geheim"})
	if err != nil {
		t.Fatal(err)
	}
	held := s.h.hold(room)
	defer held.release()
	if _, fault := held.admit(credentials{}); fault == nil || fault.Code != session.CodePassword {
		t.Errorf("%v", fault)
	}
	s.h.Configure(Settings{Origins: []string{"https://other.example"}})
	if held.ctx.Err() != nil {
		t.Errorf("revoked: %v", context.Cause(held.ctx))
	}
	s.h.Configure(Settings{Auth: Auth{User: func(*http.Request) string { return "" }}})
	if fault, ok := errors.AsType[*session.Error](context.Cause(held.ctx)); !ok || fault.Code != session.CodeToken {
		t.Errorf("%v", fault)
	}
}
