package signaling

import (
	"strings"
	"testing"
)

func TestParseRelayURL(t *testing.T) {
	for in, want := range map[string]string{
		"wss://Relay.Example":          "wss://relay.example",
		" wss://relay.example/ ":       "wss://relay.example",
		"WSS://relay.example:443":      "wss://relay.example",
		"ws://relay.example:80/":       "ws://relay.example",
		"ws://relay.example:443":       "ws://relay.example:443",
		"ws://localhost:8080/relay":    "ws://localhost:8080/relay",
		"wss://relay.example/A?x=Y":    "wss://relay.example/A?x=Y",
		"wss://relay.example/?":        "wss://relay.example",
		"ws://[::1]:7000":              "ws://[::1]:7000",
		"ws://[::1]:80/genosrtc/relay": "ws://[::1]/genosrtc/relay",
	} {
		got, err := ParseRelayURL(in)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
			continue
		}
		if again, err := ParseRelayURL(got); err != nil || again != got {
			t.Errorf("%q: not stable: %q, %v", got, again, err)
		}
	}
	for in, want := range map[string]string{
		"":                         "must begin with ws:// or wss://",
		"relay.example":            "must begin with ws:// or wss://",
		"https://relay.example":    "must begin with ws:// or wss://",
		"wss://":                   "names no host",
		"wss://:443":               "names no host",
		"wss://u:secret@relay":     "must not have a user name or password",
		"wss://relay.example/#x":   "must not have a fragment",
		"wss://relay.example:x":    "invalid port",
		"wss://relay\x7f.example/": "invalid control character",
	} {
		got, err := ParseRelayURL(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want an error with %q", in, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", in, err)
		}
	}
}
