package caddymodule

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

func init() { caddy.RegisterModule((*listener)(nil)) }

// listener is a handler of Caddy's events, for tests.
type listener struct{}

var heard struct {
	mu     sync.Mutex
	events []string
}

func (*listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.genosrtc_test", New: func() caddy.Module { return new(listener) }}
}

func (*listener) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*listener) Handle(_ context.Context, e caddy.Event) error {
	heard.mu.Lock()
	defer heard.mu.Unlock()
	said := []string{string(e.Origin().CaddyModule().ID), e.Name()}
	for _, key := range []string{"room", "peer", "relay", "address", "reason"} {
		if value, ok := e.Data[key]; ok {
			said = append(said, value.(string))
		}
	}
	heard.events = append(heard.events, strings.Join(said, " "))
	return nil
}

var _ caddyevents.Handler = (*listener)(nil)

// Events come by the events app of the configuration in force.
func TestEmit(t *testing.T) {
	c := newCaddy(t)
	relay := "ws://127.0.0.1:" + c.port + "/genosrtc/relay"
	load := func(site, app string) {
		t.Helper()
		events := ""
		for _, name := range []string{"room_opened", "room_closed", "peer_joined", "peer_left", "session_refused", "relay_up", "relay_down"} {
			events += "on " + name + " genosrtc_test\n"
		}
		if err := caddy.Load(c.config(site, app, "events {\n"+events+"}"), true); err != nil {
			t.Fatal(err)
		}
	}
	said := func(want string) {
		t.Helper()
		testclient.Eventually(t, want, func() bool {
			heard.mu.Lock()
			defer heard.mu.Unlock()
			for i, e := range heard.events {
				if e == "genosrtc "+want {
					heard.events = append(heard.events[:i], heard.events[i+1:]...)
					return true
				}
			}
			return false
		})
	}
	load(demo, "")
	said("room_opened demo")
	for i := range 2 { // the second time after a reload
		alice := testclient.Join(t, c.url, "demo", "")
		said("peer_joined demo " + alice.Welcome.Peer)
		testclient.Dial(t, c.url, "nowhere", nil)
		said("session_refused nowhere 127.0.0.1 room")
		load(fmt.Sprintf("genosrtc {\nroom demo\nroom other-%d\n}", i), "relays "+relay)
		said(fmt.Sprintf("room_opened other-%d", i))
		if i == 0 {
			said("relay_up " + relay)
		}
	}
	said("room_closed other-0")
	load("genosrtc {\nroom other-1\n}", "")
	said("room_closed demo")
}
