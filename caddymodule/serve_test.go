package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

func get(t *testing.T, url string, header http.Header) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(testclient.Within(t), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := testclient.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// Everything is served behind what Caddy puts around it.
func TestServe(t *testing.T) {
	c := newCaddy(t)
	c.load("encode gzip\nheader X-Test yes\ngenosrtc {\nroom demo\n}\nrespond \"not ours\"")

	alice := testclient.Join(t, c.url, "demo", "")
	bob := testclient.Join(t, c.url, "demo", "")
	alice.Say("hello", bob)

	relay, _, err := websocket.Dial(testclient.Within(t), testclient.WebSocketURL(c.url)+"/relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.CloseNow()
	wsjson.Write(testclient.Within(t), relay, []any{"REQ", "x", map[string]any{"kinds": []int{20001}}})
	var answer []string
	if err := wsjson.Read(testclient.Within(t), relay, &answer); err != nil || answer[0] != "EOSE" {
		t.Errorf("the relay answers %q, %v", answer, err)
	}
	_, document := get(t, c.url+"/relay", http.Header{"Accept": {"application/nostr+json"}})
	if !json.Valid([]byte(document)) || !strings.Contains(document, "supported_nips") {
		t.Errorf("the relay's document is %s", document)
	}

	root := strings.TrimSuffix(c.url, "/genosrtc")
	for path, want := range map[string]string{
		"/":                        "not ours",
		"/genosrtcx":               "not ours",
		"/genosrtc/client.js":      "export",
		"/genosrtc/nothing":        `"status":404`,
		"/genosrtc/rooms/demo/ws":  `"status":426`,
		"/genosrtc/rooms/other/ws": `"status":404`,
	} {
		if _, body := get(t, root+path, nil); !strings.Contains(body, want) {
			t.Errorf("%s: %.200q does not have %q", path, body, want)
		}
	}
}

// Sites share the server, but each has rooms, origins and limits of its own.
func TestSites(t *testing.T) {
	c := newCaddy(t)
	c.load(`
	genosrtc /one {
		room shared
		room first
		origins https://first.example
	}
	genosrtc /two {
		room shared
		room second
		limits {
			sessions 1
		}
	}
	genosrtc /relay-only
	`)
	root := strings.TrimSuffix(c.url, "/genosrtc")
	alice := testclient.Join(t, root+"/one", "shared", "")
	bob := testclient.Join(t, root+"/two", "shared", "")
	alice.Say("from one site to another", bob)
	for _, test := range []struct {
		path, room, origin string
		want               int
	}{
		{"/one", "second", "", 404},
		{"/two", "first", "", 404},
		{"/relay-only", "shared", "", 404},
		{"/one", "first", "https://first.example", 101},
		{"/one", "first", "https://second.example", 403},
		{"/two", "shared", "", 503}, // bob has the one place
	} {
		var header http.Header
		if test.origin != "" {
			header = http.Header{"Origin": {test.origin}}
		}
		if _, status := testclient.Dial(t, root+test.path, test.room, header); status != test.want {
			t.Errorf("%+v: status %d", test, status)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	t.Setenv("GENOSRTC_TEST_PASSWORD", "from the environment")
	t.Setenv("GENOSRTC_TEST_ROOM", "named")
	t.Setenv("GENOSRTC_TEST_ORIGIN", "https://app.example")
	c := newCaddy(t)
	c.load(`
	genosrtc {
		room {env.GENOSRTC_TEST_ROOM} {
			password {env.GENOSRTC_TEST_PASSWORD}
		}
		room file {
			password {file.` + writeFile(t, "from a file\n") + `}
		}
		room braces {
			password \{literal\}
		}
		origins {env.GENOSRTC_TEST_ORIGIN}
	}`)
	testclient.Join(t, c.url, "named", "from the environment")
	testclient.Join(t, c.url, "file", "from a file")
	testclient.Join(t, c.url, "braces", "{literal}")
	if _, m := testclient.Hello(t, c.url, "named", "{env.GENOSRTC_TEST_PASSWORD}"); m.Code != "password" {
		t.Errorf("a placeholder as the password is answered with %+v", m)
	}
	if _, status := testclient.Dial(t, c.url, "named", http.Header{"Origin": {"https://app.example"}}); status != 101 {
		t.Errorf("the origin is answered with %d", status)
	}
}

// The limit per address is about clients, not about the proxy in front, if
// Caddy trusts that.
func TestClientIP(t *testing.T) {
	c := newCaddy(t)
	config := c.config("genosrtc {\nroom demo\nlimits {\nper_address 1\n}\n}", "", "servers {\ntrusted_proxies static 127.0.0.1\n}")
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		client string
		want   int
	}{{"192.0.2.1", 101}, {"192.0.2.2", 101}, {"192.0.2.1", 429}} {
		if _, status := testclient.Dial(t, c.url, "demo", http.Header{"X-Forwarded-For": {test.client}}); status != test.want {
			t.Errorf("%s: status %d, want %d", test.client, status, test.want)
		}
	}
	c.load("genosrtc {\nroom other\nlimits {\nper_address 1\n}\n}")
	for i, want := range []int{101, 429} {
		if _, status := testclient.Dial(t, c.url, "other", http.Header{"X-Forwarded-For": {string('a' + rune(i))}}); status != want {
			t.Errorf("a proxy that is not trusted: status %d, want %d", status, want)
		}
	}
}
