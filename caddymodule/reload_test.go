package caddymodule

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

const demo = "genosrtc {\nroom demo\n}"

// Sessions live through reloads that keep their room, on the same socket,
// whatever else changes.
func TestReloadKeepsSessions(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	for i := range 20 {
		c.load(fmt.Sprintf(`
		genosrtc {
			room demo
			room room-%[1]d
			origins https://app-%[1]d.example
			limits {
				per_address %[2]d
			}
		}
		respond "number %[1]d"`, i, 100+i))
		alice.Say(fmt.Sprintf("after reload %d", i), bob)
		testclient.Join(t, c.url, fmt.Sprintf("room-%d", i), "")
		if _, status := testclient.Dial(t, c.url, fmt.Sprintf("room-%d", i-1), nil); status != http.StatusNotFound {
			t.Errorf("room of the configuration before: status %d", status)
		}
		header := http.Header{"Origin": {fmt.Sprintf("https://app-%d.example", i-1)}}
		if _, status := testclient.Dial(t, c.url, "demo", header); status != http.StatusForbidden {
			t.Errorf("origin of the configuration before: status %d", status)
		}
	}
	carol := testclient.Join(t, c.url, "demo", "")
	carol.Say("old and new sessions meet", alice)
}

// Rules change under sessions that are there.
func TestReloadChangesRules(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	schema := writeFile(t, `{"type": "string", "maxLength": 5}`)
	c.load("genosrtc {\nroom demo {\nchannel chat {\nschema " + schema + "\nrate 100/m\nmax_size 1KiB\nenforce\n}\n}\n}")
	alice.Say("short", bob)
	if m := alice.Refused("too long"); m.Code != "rule" {
		t.Errorf("refused with %+v", m)
	}
	c.load(demo)
	alice.Say("long again", bob)
}

// What limits count goes on being counted.
func TestReloadKeepsCounting(t *testing.T) {
	c := newCaddy(t)
	site := "genosrtc {\nroom demo\nroom %s\nlimits {\nsessions 1\n}\n}"
	c.load(fmt.Sprintf(site, "a"))
	testclient.Join(t, c.url, "demo", "")
	for _, other := range []string{"a", "b"} {
		c.load(fmt.Sprintf(site, other))
		if _, status := testclient.Dial(t, c.url, "demo", nil); status != http.StatusServiceUnavailable {
			t.Errorf("the second session of one: status %d", status)
		}
	}
}

func TestReloadEndsSessions(t *testing.T) {
	for name, test := range map[string]struct{ before, after, reason string }{
		"room removed":      {demo + "\ngenosrtc /x {\nroom other\n}", "genosrtc /x {\nroom other\n}", "server stopping"},
		"room replaced":     {"genosrtc {\nroom demo\nroom stays\n}", "genosrtc {\nroom stays\n}", "room closed"},
		"password changed":  {demo, "genosrtc {\nroom demo {\npassword new\n}\n}", "room closed"},
		"path changed":      {demo, "genosrtc /elsewhere {\nroom demo\n}", "server stopping"},
		"directive removed": {demo, `respond "no genosrtc"`, "server stopping"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaddy(t)
			c.load(test.before)
			session := testclient.Join(t, c.url, "demo", "")
			loaded := make(chan error, 1)
			go func() { loaded <- caddy.Load(c.config(test.after, "", ""), true) }()
			if code, reason := session.Ended(); code != 1001 || reason != test.reason {
				t.Errorf("the session ended with %d %q", code, reason)
			}
			if err := <-loaded; err != nil {
				t.Fatal(err)
			}
			if _, status := testclient.Dial(t, c.url, "demo", nil); status == http.StatusSwitchingProtocols && name != "password changed" {
				t.Error("there can still be new sessions")
			}
		})
	}
}

// A reload that fails changes nothing, wherever it fails.
func TestFailedReload(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const other = "genosrtc {\nroom demo {\npassword changed\n}\nroom new\norigins https://new.example\n}\ngenosrtc /new {\nroom new\n}"
	for name, test := range map[string]struct{ site, app, global, want string }{
		// Caddy starts its apps in any order: ours may have been started when
		// another one fails, or not.
		"another app does not start": {site: other + "\n}\nhttp://" + taken.Addr().String() + " {\nbind 127.0.0.1", want: "address already in use"},
		"another handler is wrong":   {site: other + "\nforward_auth localhost:1 {\nuri /\ntransport http {\ntls_client_auth /nowhere /nowhere\n}\n}", want: "open /nowhere"},
		"what cannot change":         {site: other, app: "public_ip 192.0.2.1", want: "the list of public IPs cannot change"},
		"unset variable":             {site: "genosrtc {\nroom demo {\npassword {env.GENOSRTC_NONE}\n}\n}", want: `password of room "demo"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaddy(t)
			c.load(demo)
			alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
			config := c.config(test.site, test.app, test.global)
			for range 8 {
				if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v does not say %q", err, test.want)
				}
				alice.Say("nothing happened", bob)
				alice = testclient.Join(t, c.url, "demo", "")
				for room, want := range map[string]int{"demo": http.StatusForbidden, "new": http.StatusNotFound} {
					if _, status := testclient.Dial(t, c.url, room, http.Header{"Origin": {"https://new.example"}}); status != want {
						t.Errorf("room %s: status %d, want %d", room, status, want)
					}
				}
				if n, _ := nodes.References(c.storage); n != 1 {
					t.Errorf("%d references to the node", n)
				}
			}
			c.load(demo + "\nrespond \"a reload that does not fail\"")
			alice.Say("still here", bob)
		})
	}
}

// Validating a configuration starts nothing, beside one that runs.
func TestValidateOnly(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	var config *caddy.Config
	if err := caddy.StrictUnmarshalJSON(c.config("genosrtc {\nroom new\n}", "", ""), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(config); err != nil {
		t.Fatal(err)
	}
	alice.Say("nothing happened", bob)
	if _, status := testclient.Dial(t, c.url, "new", nil); status != http.StatusNotFound {
		t.Errorf("the room of the validated configuration: status %d", status)
	}
	if n, _ := nodes.References(c.storage); n != 1 {
		t.Errorf("%d references to the node", n)
	}
}

func TestStop(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	session := testclient.Join(t, c.url, "demo", "")
	stopped := make(chan error, 1)
	go func() { stopped <- caddy.Stop() }()
	if code, reason := session.Ended(); code != 1001 || reason != "server stopping" {
		t.Errorf("the session ended with %d %q", code, reason)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Of two sites that serve the same room at the same path, one goes: the
// sessions of the other stay, whichever was provisioned first.
func TestReloadKeepsSessionsOfSitesAlike(t *testing.T) {
	c := newCaddy(t)
	other := freePort(t)
	both := demo + "\n}\nhttp://127.0.0.1:" + other + " {\nbind 127.0.0.1\n" + demo
	c.load(demo)
	alice := testclient.Join(t, c.url, "demo", "")
	for range 10 {
		c.load(both)
		bob := testclient.Join(t, c.url, "demo", "")
		alice.Say("both sites are there", bob)
		c.load(demo)
		bob.Say("one is gone", alice)
		alice = bob
	}
}
