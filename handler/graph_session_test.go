package handler

import (
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// A session may write to the graph if it had to show something, or nobody needs to.
func TestGraphOfSessions(t *testing.T) {
	for name, c := range map[string]struct {
		room    engine.RoomConfig
		hello   string
		written bool
	}{
		"an open room":     {hello: `{"op":"hello"}`},
		"a written one":    {engine.RoomConfig{AnonymousWrite: true}, `{"op":"hello"}`, true},
		"one with a lock":  {engine.RoomConfig{Password: "secret"}, `{"op":"hello","password":"secret"}`, true},
		"a password alone": {hello: `{"op":"hello","password":"secret"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Config{})
			c.room.Name = "demo"
			s.remember(c.room)
			session := s.dial(nil)
			session.say("%s", c.hello)
			session.hear("welcome")
			session.say(`{"op":"watch","id":1}`)
			session.hear("watch")
			session.say(`{"op":"put","id":2,"node":"a","data":1}`)
			if c.written {
				session.hear("node")
				return
			}
			if m := session.hear("error"); m["code"] != "forbidden" || m["id"] != 2.0 {
				t.Errorf("got %v", m)
			}
		})
	}
}
