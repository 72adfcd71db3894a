package caddymodule

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// What a Caddyfile could not say, or says with placeholders, is found when the
// configuration is provisioned and validated, before anything starts.
func TestValidateErrors(t *testing.T) {
	t.Setenv("GENOSRTC_TEST_BAD", "not it")
	for name, test := range map[string]struct{ app, handlers, want string }{
		"unknown field":       {`{}`, `{"room": "demo"}`, "unknown field"},
		"unknown field (app)": {`{"rooms": []}`, `{}`, "unknown field"},
		"room without name":   {`{}`, `{"rooms": [{}]}`, "a room needs a name"},
		"room twice":          {`{}`, `{"rooms": [{"name": "demo"}, {"name": "demo"}]}`, `room "demo" is configured twice`},
		"identity":            {`{}`, `{"rooms": [{"name": "demo", "identity": "x"}]}`, `identity "x"`},
		"channel":             {`{}`, `{"rooms": [{"name": "demo", "redeliver": ["chat", "much too long"]}]}`, `room "demo": channel "much too long"`},
		"channel's name":      {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "much too long"}]}]}`, `room "demo": channel "much too long"`},
		"channel twice":       {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "a"}, {"name": "a"}]}]}`, `room "demo": channel a has two rules`},
		"channel's size":      {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "a", "max_size": -1}]}]}`, `room "demo": channel a: max_size is negative`},
		"channel's rate":      {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "a", "rate": "{env.GENOSRTC_TEST_BAD}"}]}]}`, `room "demo": channel "a": rate "not it"`},
		"no schema":           {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "a", "schema": "/nowhere"}]}]}`, `room "demo": channel "a": schema: open /nowhere`},
		"not a schema":        {`{}`, `{"rooms": [{"name": "demo", "channels": [{"name": "a", "schema": "channel.go"}]}]}`, `room "demo": channel a: schema: it is not valid JSON`},
		"cells":               {`{}`, `{"rooms": [{"name": "demo", "cells": "yes"}]}`, `room "demo": cells "yes" is none of auto, off and on`},
		"cells' size":         {`{}`, `{"rooms": [{"name": "demo", "cell_size": -1}]}`, `room "demo": the cell size is negative`},
		"no cells of a size":  {`{}`, `{"rooms": [{"name": "demo", "cells": "off", "cell_size": 5}]}`, `room "demo": there is a cell size, but cells are off`},
		"path":                {`{}`, `{"path": "rtc"}`, `path "rtc"`},
		"origin":              {`{}`, `{"origins": ["{env.GENOSRTC_TEST_BAD}"]}`, `origin "not it"`},
		"algorithm":           {`{}`, `{"auth": {"jwt": {"algorithm": "none", "key": "secret", "audience": "x"}}}`, `algorithm "none"`},
		"short key":           {`{}`, `{"auth": {"jwt": {"algorithm": "HS256", "key": "secret", "audience": "x"}}}`, "at least 32 bytes"},
		"no audience":         {`{}`, `{"auth": {"jwt": {"algorithm": "HS256", "key": "secret", "audience": ""}}}`, "audience is missing"},
		"no public key":       {`{}`, `{"auth": {"jwt": {"algorithm": "ES256", "key": "secret", "audience": "x"}}}`, "no public key of ES256"},
		"unset key":           {`{}`, `{"auth": {"jwt": {"algorithm": "HS256", "key": "secret{env.GENOSRTC_NONE}", "audience": "x"}}}`, "auth jwt: a placeholder"},
		"limit":               {`{}`, `{"limits": {"pending": -1}}`, "a limit is negative"},
		"wrong type":          {`{}`, `{"limits": {"pending": "1MiB"}}`, "cannot unmarshal"},
		"unset room":          {`{}`, `{"rooms": [{"name": "{env.GENOSRTC_NONE}"}]}`, "{env.GENOSRTC_NONE} is empty"},
		"unset password":      {`{}`, `{"rooms": [{"name": "demo", "password": "{env.GENOSRTC_NONE}"}]}`, `password of room "demo"`},
		"missing file":        {`{}`, `{"rooms": [{"name": "demo", "password": "{file./nowhere}"}]}`, `password of room "demo"`},
		"unknown placeholder": {`{}`, `{"rooms": [{"name": "demo", "password": "a{secret}b"}]}`, `password of room "demo"`},
		"passwords differ":    {`{}`, `{"rooms": [{"name": "demo", "password": "a"}]}, {"handler": "genosrtc", "rooms": [{"name": "demo"}]}`, `room "demo" is configured in another way by another site`},
		"channels differ":     {`{}`, `{"rooms": [{"name": "demo", "redeliver": ["a"]}]}, {"handler": "genosrtc", "rooms": [{"name": "demo"}]}`, `room "demo" is configured in another way by another site`},
		"cells differ":        {`{}`, `{"rooms": [{"name": "demo", "cell_size": 5}]}, {"handler": "genosrtc", "rooms": [{"name": "demo"}]}`, `room "demo" is configured in another way by another site`},
		"relay":               {`{"relays": ["{env.GENOSRTC_TEST_BAD}"]}`, `{}`, "must begin with ws:// or wss://"},
		"unset relay":         {`{"relays": ["{env.GENOSRTC_NONE}"]}`, `{}`, "relays: "},
		"udp":                 {`{"udp": "{env.GENOSRTC_TEST_BAD}"}`, `{}`, `UDP address "not it"`},
		"interfaces":          {`{"udp": "192.0.2.7:3478", "interfaces": ["eth0"]}`, `{}`, "interfaces are for a UDP address without a host"},
		"public ip":           {`{"public_ips": ["{env.GENOSRTC_TEST_BAD}"]}`, `{}`, `public IP "not it"`},
		"stun":                {`{"stun": ["{env.GENOSRTC_TEST_BAD}"]}`, `{}`, `STUN URL "not it"`},
		"turn without secret": {`{"turn": {}}`, `{}`, "turn has no secret"},
		"unset turn secret":   {`{"turn": {"secret": "{env.GENOSRTC_NONE}"}}`, `{}`, "secret of turn: "},
		"short turn secret":   {`{"turn": {"secret": "{env.GENOSRTC_TEST_BAD}"}}`, `{}`, "is too short"},
		"turn ports":          {`{"turn": {"secret": "1234567890123456", "ports": "{env.GENOSRTC_TEST_BAD}"}}`, `{}`, `ports of turn: "not it"`},
		"turn limit":          {`{"turn": {"secret": "1234567890123456", "per_user": -1}}`, `{}`, "a limit of TURN is negative"},
		"unset storage":       {`{"storage": "{env.GENOSRTC_NONE}"}`, `{}`, "storage: "},
	} {
		t.Run(name, func(t *testing.T) {
			handlers := strings.Replace(test.handlers, "{", `{"handler": "genosrtc", `, 1)
			handlers = strings.Replace(handlers, ", }", "}", 1)
			text := `{"admin": {"disabled": true}, "logging": {"logs": {"default": {"writer": {"output": "discard"}}}},
				"storage": {"module": "file_system", "root": "` + t.TempDir() + `"},
				"apps": {"genosrtc": ` + test.app + `, "http": {"servers": {"a": {"listen": ["127.0.0.1:1"],
				"routes": [{"handle": [` + handlers + `]}]}}}}}`
			var config *caddy.Config
			if err := json.Unmarshal([]byte(text), &config); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			err := caddy.Validate(config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v does not say %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") && !strings.Contains(test.app, "turn") {
				t.Errorf("error %v tells a part of the password", err)
			}
			nodes.Range(func(key, _ any) bool { t.Errorf("node %v is left", key); return true })
		})
	}
}

// A start that fails says why, and leaves nothing.
func TestStartFails(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := newCaddy(t)
	config := strings.Replace(string(c.config(demo, "", "")), "127.0.0.1:0", taken.LocalAddr().String(), 1)
	if err := caddy.Load([]byte(config), true); err == nil || !strings.Contains(err.Error(), taken.LocalAddr().String()) {
		t.Errorf("the error does not name the address: %v", err)
	}
	if n, _ := nodes.References(c.storage); n != 0 {
		t.Errorf("%d references to the node", n)
	}
	c.load(demo)
	testclient.Join(t, c.url, "demo", "")
}

// The logs say what happens, after a reload in its own log, and no secrets,
// not even at level debug.
func TestLogs(t *testing.T) {
	t.Setenv("GENOSRTC_TEST_PASSWORD", "swordfish")
	c := newCaddy(t)
	site := "genosrtc {\nroom demo {\npassword {env.GENOSRTC_TEST_PASSWORD}\n}\n}"
	var all string
	for _, file := range []string{writeFile(t, ""), writeFile(t, "")} {
		config := strings.Replace(string(c.config(site, "", "")), `{"output":"discard"}`, `{"output":"file","filename":"`+file+`","roll":false}`, 1)
		config = strings.Replace(config, `"default":{`, `"default":{"level":"DEBUG",`, 1)
		if err := caddy.Load([]byte(config), true); err != nil {
			t.Fatal(err)
		}
		testclient.Join(t, c.url, "demo", "swordfish")
		refused, m := testclient.Hello(t, c.url, "demo", "mackerel")
		if m.Code != "password" {
			t.Fatalf("a wrong password is answered with %+v", m)
		}
		refused.Ended()
		testclient.Eventually(t, "the session is in the log", func() bool {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all += string(content)
			return strings.Contains(string(content), `"msg":"session ended"`)
		})
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(all, `"logger":"genosrtc"`) || !strings.Contains(all, `"room":"demo"`) {
		t.Errorf("the log is\n%s", all)
	}
	for _, secret := range []string{"swordfish", "mackerel"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}
