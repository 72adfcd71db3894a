package caddymodule

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// docs/Caddyfile has every option that the syntax in the doc comments has, and Caddy runs it.
func TestAnnotatedCaddyfile(t *testing.T) {
	raw, err := os.ReadFile("../docs/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"directive.go", "globaloption.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, syntax, _ := strings.Cut(string(source), "UnmarshalCaddyfile reads")
		syntax, _, _ = strings.Cut(syntax, "\nfunc")
		options := regexp.MustCompile(`(?m)^//\t\t+(\w+)`).FindAllStringSubmatch(syntax, -1)
		if len(options) < 5 {
			t.Fatalf("%s: the syntax was not found", file)
		}
		for _, o := range options {
			if !regexp.MustCompile(`(?m)^\t+` + o[1] + `\b`).Match(raw) {
				t.Errorf("there is no %s", o[1])
			}
		}
	}

	c := newCaddy(t)
	t.Setenv("DOMAIN", "http://127.0.0.1:"+c.port)
	t.Setenv("UDP", ":"+freePort(t)) // TURN needs it for TCP too
	t.Setenv("STORAGE", c.storage)
	t.Setenv("ROOM_PASSWORD", "geheim")
	t.Setenv("TURN_SECRET", strings.Repeat("s", 16))
	t.Setenv("JWT_KEY", strings.Repeat("k", 32))
	t.Setenv("SCHEMA", writeFile(t, "{}"))
	text := strings.Replace(string(raw), "{\n", "{\n\tadmin off\n\tpersist_config off\n", 1)
	// Nothing leaves the machine.
	text = strings.ReplaceAll(text, "interfaces 0.0.0.0/0 ::/0", "interfaces 127.0.0.0/8")
	text = strings.ReplaceAll(text, "wss://relay.example wss://other.example/nostr", "ws://127.0.0.1:"+c.port+"/genosrtc/relay")
	text = strings.ReplaceAll(text, "\t\tstun stun:stun.example:3478\n", "")
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Error(w)
		}
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	testclient.Join(t, c.url, "my-app", "geheim")
	if status, body := get(t, strings.TrimSuffix(c.url, "/genosrtc")+"/metrics", nil); status != 200 || !strings.Contains(body, "caddy_genosrtc_rooms 1") {
		t.Errorf("metrics of the site: %d", status)
	}
}
