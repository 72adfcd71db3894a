package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/web"
)

func asCloseError(err error, target *websocket.CloseError) bool { return errors.As(err, target) }

// answer is what a plain request got.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func request(t *testing.T, method, url string, header http.Header) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{t, res.StatusCode, res.Header, body}
}

func get(t *testing.T, url string, header http.Header) *answer {
	t.Helper()
	return request(t, http.MethodGet, url, header)
}

// want checks a refusal and its problem document.
func (a *answer) want(status int) {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("got %d %s, want %d", a.status, a.body, status)
		return
	}
	var doc struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal(a.body, &doc); err != nil || doc.Status != status || doc.Title != http.StatusText(status) || doc.Detail == "" {
		a.t.Errorf("problem %s: %v", a.body, err)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("content type %q", ct)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		a.t.Error("scripts cannot read it")
	}
}

// handshake has the headers of a WebSocket handshake.
func handshake(more ...string) http.Header {
	h := http.Header{}
	h.Set("Connection", "keep-alive, Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			h.Del(more[i])
		} else {
			h.Set(more[i], more[i+1])
		}
	}
	return h
}

func TestHandshake(t *testing.T) {
	s := serve(t, Config{})
	for name, h := range map[string]http.Header{
		"plain":           {},
		"no upgrade":      handshake("Upgrade", ""),
		"other upgrade":   handshake("Upgrade", "h2c"),
		"no connection":   handshake("Connection", "keep-alive"),
		"another version": handshake("Sec-WebSocket-Version", "8"),
		"no key":          handshake("Sec-WebSocket-Key", ""),
		"short key":       handshake("Sec-WebSocket-Key", "AAAA"),
	} {
		a := get(t, s.url("demo"), h)
		a.want(http.StatusUpgradeRequired)
		if a.header.Get("Upgrade") != "websocket" || a.header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	if n := s.h.Stats(); n.Refused["handshake"] != 7 || n.Sessions != 0 {
		t.Errorf("%+v", n)
	}
	for _, method := range []string{"POST", "HEAD", "OPTIONS", "DELETE"} {
		a := request(t, method, s.url("demo"), handshake())
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET" {
			t.Errorf("%s: %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	// An extended CONNECT (RFC 8441), and a GET, over HTTP/2.
	for _, method := range []string{"CONNECT", "GET"} {
		r := httptest.NewRequest(method, "/genosrtc/rooms/demo/ws", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		r.Header = handshake(":protocol", "websocket")
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		(&answer{t, w.Code, w.Result().Header, w.Body.Bytes()}).want(http.StatusUpgradeRequired)
		if w.Result().Header.Get("Connection") != "" {
			t.Error("HTTP/2 has no Connection header")
		}
	}
}

func TestRooms(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Rooms: func(name string) bool { return name != "secret" }}})
	for _, name := range []string{"a/b", "ä ö", "100%", "a%2Fb", "x?y#z", "{room}", "a//b/"} {
		s.open(name)
		ws, _, err := websocket.Dial(t.Context(), s.url(name), nil)
		if err != nil {
			t.Errorf("room %q: %v", name, err)
			continue
		}
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"op":"hello"}`)); err != nil {
			t.Fatal(err)
		}
		_, raw, err := ws.Read(t.Context())
		var welcome struct{ Room string }
		if json.Unmarshal(raw, &welcome); welcome.Room != name || err != nil {
			t.Errorf("room %q: %s, %v", name, raw, err)
		}
		ws.CloseNow()
	}
	s.open("secret")
	get(t, s.url("secret"), handshake()).want(http.StatusNotFound)
	a := get(t, s.url("not open yet"), handshake())
	a.want(http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}

	all := serve(t, Config{}) // no list: what is open
	get(t, all.url("unknown"), handshake()).want(http.StatusNotFound)
}

func TestOrigins(t *testing.T) {
	listed := []string{"https://app.example", "http://localhost:5173", "HTTPS://Upper.Example:443"}
	for _, c := range []struct {
		origins      []string
		host, origin string
		ok           bool
	}{
		{nil, "example.com", "", true}, // no browser
		{nil, "example.com", "https://example.com", true},
		{nil, "example.com", "http://example.com", true}, // TLS may end before us
		{nil, "Example.com:443", "https://example.com", true},
		{nil, "example.com", "https://EXAMPLE.com", true},
		{nil, "example.com:8080", "http://example.com:8080", true},
		{nil, "example.com:8080", "http://example.com", false},
		{nil, "example.com", "https://example.com:8443", false},
		{nil, "example.com", "https://evil.example", false},
		{nil, "example.com", "https://example.com.evil.example", false},
		{nil, "example.com", "https://sub.example.com", false},
		{nil, "example.com", "https://evil.example/https://example.com", false},
		{nil, "example.com", "null", false},
		{nil, "example.com", "file://", false},
		{nil, "example.com", "://", false},
		{listed, "example.com", "https://app.example", true},
		{listed, "example.com", "https://app.example:443", true},
		{listed, "example.com", "http://app.example", false},
		{listed, "example.com", "https://app.example:444", false},
		{listed, "example.com", "http://localhost:5173", true},
		{listed, "example.com", "http://localhost", false},
		{listed, "example.com", "https://upper.example", true},
		{listed, "example.com", "https://example.com", true},
		{listed, "example.com", "null", false},
		{[]string{"*"}, "example.com", "https://evil.example", true},
		{[]string{"*"}, "example.com", "null", true},
	} {
		h := &Handler{}
		if err := h.Configure(Settings{Origins: c.origins}); err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Host: c.host, Header: http.Header{}}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if got := h.settings.Load().allows(r); got != c.ok {
			t.Errorf("%s from %q with %v: %v", c.host, c.origin, c.origins, got)
		}
	}
	for _, bad := range []string{"", "example.com", "https://", "https://example.com/", "https://u@example.com", "https://example.com?x", "//example.com"} {
		if err := new(Handler).Configure(Settings{Origins: []string{bad}}); err == nil {
			t.Errorf("origin %q was taken", bad)
		}
	}

	s := serve(t, Config{Settings: Settings{Origins: listed}})
	get(t, s.url("demo"), handshake("Origin", "https://evil.example")).want(http.StatusForbidden)
	s.dial(&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://app.example"}}})
	s.dial(&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {s.server.URL}}})
	if n := s.h.Stats().Refused["origin"]; n != 1 {
		t.Errorf("%d refused", n)
	}
}

func TestLimitsOfSessions(t *testing.T) {
	address := ""
	s := serve(t, Config{
		ClientIP: func(*http.Request) string { return address },
		Settings: Settings{Limits: Limits{Sessions: 3, SessionsPerAddress: 2}},
	})
	refused := func(status int) {
		t.Helper()
		a := get(t, s.url("demo"), handshake())
		a.want(status)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	address = "2001:db8::1"
	first := s.dial(nil)
	address = "2001:db8::2" // of the same network
	s.dial(nil)
	refused(http.StatusTooManyRequests)
	address = "::ffff:192.0.2.1"
	s.dial(nil)
	address = "192.0.2.2"
	refused(http.StatusServiceUnavailable)
	first.ws.CloseNow()
	eventually(t, "the session did not end", func() bool { return s.h.Stats().Sessions == 2 })
	address = "192.0.2.1"
	s.dial(nil)
	refused(http.StatusTooManyRequests)
	if n := s.h.Stats().Refused; n["address"] != 2 || n["sessions"] != 1 {
		t.Errorf("%v", n)
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1",
		"::ffff:192.0.2.1":    "192.0.2.1",
		"2001:db8:1:2:3::4":   "2001:db8:1:2::/64",
		"fe80::1%eth0":        "fe80::/64",
		"@":                   "@",
		"":                    "",
		"192.0.2.1:8080":      "192.0.2.1:8080",
		"2001:db8:1:2:ff::99": "2001:db8:1:2::/64",
	} {
		if got := network(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	relay := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "relay at "+r.URL.Path) })
	s := serve(t, Config{Path: "/x/y", Relay: relay})
	for path, status := range map[string]int{
		"/":                       404,
		"/x":                      404,
		"/x/y":                    404,
		"/x/y/":                   404,
		"/x/yy":                   404,
		"/x/y/rooms":              404,
		"/x/y/rooms/other":        404,
		"/x/y/rooms/demo/ws/":     404,
		"/x/y/rooms/a/b/ws":       404,
		"/x/y/rooms/a%2Fb/ws":     404, // not open
		"/x/y/rooms/%64emo/ws":    426,
		"/genosrtc/rooms/demo/ws": 404,
	} {
		get(t, s.server.URL+path, nil).want(status)
	}
	if a := get(t, s.server.URL+"/x/y/relay", nil); string(a.body) != "relay at /x/y/relay" {
		t.Errorf("%s", a.body)
	}
	for path, want := range map[string]bool{"/x/y": true, "/x/y/": true, "/x/y/z": true, "/x/yz": false, "/x": false, "/": false, "": false} {
		if s.h.Match(path) != want {
			t.Errorf("Match(%q) is %v", path, !want)
		}
	}
	plain := serve(t, Config{})
	get(t, plain.server.URL+"/genosrtc/relay", nil).want(http.StatusNotFound)
	for _, path := range []string{"/", "genosrtc", "/x/", "//x", "/{x}", "/a b"} {
		if _, err := New(Config{Engine: plain.node, Path: path}); err == nil {
			t.Errorf("path %q was taken", path)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a handler without an engine was made")
	}
}

func TestScripts(t *testing.T) {
	s := serve(t, Config{})
	for name, want := range map[string]struct {
		kind    string
		content []byte
	}{
		"client.js":   {"text/javascript; charset=utf-8", web.ClientJS},
		"client.d.ts": {"text/plain; charset=utf-8", web.ClientTypes},
	} {
		url := s.server.URL + "/genosrtc/" + name
		a := get(t, url, nil)
		if a.status != 200 || !bytes.Equal(a.body, want.content) || len(a.body) == 0 {
			t.Errorf("%s: %d, %d bytes", name, a.status, len(a.body))
		}
		etag := a.header.Get("Etag")
		for k, v := range map[string]string{
			"Content-Type": want.kind, "Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache",
			"X-Content-Type-Options": "nosniff",
		} {
			if a.header.Get(k) != v {
				t.Errorf("%s: %s is %q", name, k, a.header.Get(k))
			}
		}
		if a := get(t, url, http.Header{"If-None-Match": {etag}}); etag == "" || a.status != http.StatusNotModified {
			t.Errorf("%s: %d with ETag %q", name, a.status, etag)
		}
		if a := request(t, "HEAD", url, nil); a.status != 200 || len(a.body) != 0 {
			t.Errorf("%s: HEAD %d", name, a.status)
		}
		if a := request(t, "POST", url, nil); a.status != 405 || !strings.Contains(a.header.Get("Allow"), "GET") {
			t.Errorf("%s: POST %d", name, a.status)
		}
	}
}
