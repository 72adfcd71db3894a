package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/genosrtc/caddy-genosrtc"
)

// Caddy may start the HTTP app first. Requests wait for ours, as long as their
// clients do.
func TestRequestsWaitForTheStart(t *testing.T) {
	c := newClaim(genosrtc.Config{})
	h := &Handler{site: &site{path: "/genosrtc"}, claim: c}
	status := func(ctx context.Context) int {
		r := httptest.NewRequestWithContext(ctx, "GET", "/genosrtc/relay", nil)
		err := h.ServeHTTP(httptest.NewRecorder(), r, nil)
		if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			return e.StatusCode
		}
		return 0
	}
	gone, cancel := context.WithCancel(t.Context())
	waiting := make(chan int)
	go func() { waiting <- status(gone) }()
	cancel()
	if got := <-waiting; got != http.StatusServiceUnavailable {
		t.Errorf("a client that went away: status %d", got)
	}
	go func() { waiting <- status(t.Context()) }()
	c.settle() // without a start
	if got := <-waiting; got != http.StatusServiceUnavailable {
		t.Errorf("after a failed start: status %d", got)
	}
}

// A site continues the handler at its path that has most in common with it.
func TestInherit(t *testing.T) {
	handlers := []*genosrtc.Handler{{}, {}, {}, {}}
	old := newClaim(genosrtc.Config{})
	old.sites = []*site{
		{path: "/a", rooms: []string{"x"}, handler: handlers[0]},
		{path: "/a", rooms: []string{"x", "y"}, handler: handlers[1]},
		{path: "/a", rooms: []string{"z"}, handler: handlers[2]},
		{path: "/b", handler: handlers[3]},
	}
	for name, test := range map[string]struct {
		sites []*site
		want  []*genosrtc.Handler
	}{
		"same":           {old.sites, handlers},
		"most in common": {[]*site{{path: "/a", rooms: []string{"y", "x", "new"}}}, handlers[1:2]},
		"each once": {
			[]*site{{path: "/a", rooms: []string{"x", "y"}}, {path: "/a", rooms: []string{"x", "y"}}, {path: "/a", rooms: []string{"x", "y"}}},
			[]*genosrtc.Handler{handlers[1], handlers[0], nil},
		},
		"nothing in common": {[]*site{{path: "/a", rooms: []string{"new"}}}, []*genosrtc.Handler{nil}},
		"no rooms":          {[]*site{{path: "/b"}}, handlers[3:]},
		"rooms, none then":  {[]*site{{path: "/b", rooms: []string{"x"}}}, []*genosrtc.Handler{nil}},
		"another path":      {[]*site{{path: "/c", rooms: []string{"x"}}}, []*genosrtc.Handler{nil}},
	} {
		n := &node{claims: []*claim{old}}
		c := newClaim(genosrtc.Config{})
		for _, s := range test.sites {
			c.sites = append(c.sites, &site{path: s.path, rooms: s.rooms})
		}
		for i, s := range c.sites {
			if s.handler = n.inherit(c, s); s.handler != test.want[i] {
				t.Errorf("%s: site %d inherits the wrong handler", name, i)
			}
		}
	}
}

// Loggers that were derived under one configuration follow to the next.
func TestLogsFollow(t *testing.T) {
	var first, second bytes.Buffer
	var l logs
	l.use(slog.New(slog.NewTextHandler(&first, nil)))
	log := l.logger().With("part", "x").WithGroup("g").With("a", 1)
	log.Info("one", "b", 2)
	l.use(slog.New(slog.NewTextHandler(&second, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Debug("two", "b", 3)
	for want, got := range map[string]string{"msg=one part=x g.a=1 g.b=2": first.String(), "msg=two part=x g.a=1 g.b=3": second.String()} {
		if !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("log %q, want %q", got, want)
		}
	}
}

// A pattern of one site does not open a room that another one names.
func TestPatternsAndNames(t *testing.T) {
	public, internal := &site{onDemand: []string{"*"}}, &site{rooms: []string{"staff"}}
	c := newClaim(genosrtc.Config{})
	if err := errors.Join(c.add(public, nil), c.add(internal, []genosrtc.Room{{Name: "staff"}})); err != nil {
		t.Fatal(err)
	}
	if public.serves("staff") || !internal.serves("staff") || !public.serves("new") || internal.serves("new") {
		t.Error("a room is served by the wrong site")
	}
}
