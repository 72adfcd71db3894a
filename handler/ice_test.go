package handler

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

func TestLinksOfICEServers(t *testing.T) {
	header := make(http.Header)
	linkICEServers(header, []ICEServer{
		{URLs: []string{"stun:stun.example"}},
		{URLs: []string{"turn:turn.example:3478?transport=udp", "turn:[2001:db8::1]?transport=tcp"}, Username: `9:"a\b"`, Credential: "p w;,="},
		{URLs: []string{"turn:turn.example"}, Username: "a\r\nSet-Cookie: x", Credential: "p"},
		{URLs: []string{"stun:a>; rel=evil"}},
		{},
	})
	want := []string{
		`<stun:stun.example>; rel="ice-server"`,
		`<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="9:\"a\\b\""; credential="p w;,="; credential-type="password"`,
		`<turn:[2001:db8::1]?transport=tcp>; rel="ice-server"; username="9:\"a\\b\""; credential="p w;,="; credential-type="password"`,
	}
	if got := header["Link"]; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var (
	linked    = regexp.MustCompile(`^<([^>]*)>((?:; [a-z-]+="(?:[^"\\]|\\.)*")*)$`)
	parameter = regexp.MustCompile(`; ([a-z-]+)="((?:[^"\\]|\\.)*)"`)
	escaped   = regexp.MustCompile(`\\(.)`)
)

// Whatever is in a credential, the one who reads the header has the same.
func TestLinksAreReadAsTheyWereMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[ -~]{1,40}`), rapid.String())
		s := ICEServer{URLs: []string{"turn:turn.example"}, Username: text.Draw(t, "username"), Credential: text.Draw(t, "credential")}
		header := make(http.Header)
		linkICEServers(header, []ICEServer{s})
		if !printable(s.Username + s.Credential) {
			if len(header) > 0 {
				t.Fatalf("a header carries %q", header)
			}
			return
		}
		parts := linked.FindStringSubmatch(header.Get("Link"))
		if parts == nil {
			t.Fatalf("%q is no link", header.Get("Link"))
		}
		got := make(map[string]string)
		for _, p := range parameter.FindAllStringSubmatch(parts[2], -1) {
			got[p[1]] = escaped.ReplaceAllString(p[2], "$1")
		}
		if parts[1] != s.URLs[0] || got["rel"] != "ice-server" || s.Username != "" &&
			(got["username"] != s.Username || got["credential"] != s.Credential || got["credential-type"] != "password") {
			t.Fatalf("%q was read as %v", header.Get("Link"), got)
		}
	})
}

func TestICE(t *testing.T) {
	s := serve(t, Config{
		ClientIP: func(r *http.Request) string { return r.Header.Get("X-Test-Address") },
		ICEServers: func(user string, until time.Time) []ICEServer {
			return []ICEServer{
				{URLs: []string{"stun:203.0.113.7:3478"}},
				{URLs: []string{"turn:203.0.113.7:3478?transport=udp", "turn:203.0.113.7:3478?transport=tcp"}, Username: user, Credential: "credential", Lifetime: 90*time.Second + 1},
			}
		},
		Settings: Settings{
			Rooms:   func(name string) bool { return name != "unknown" },
			Origins: []string{"https://app.example"},
		},
	})
	if _, err := s.node.Open(engine.RoomConfig{Name: "secret", Password: "geheim"}); err != nil {
		t.Fatal(err)
	}
	g := &golden{t: t, handler: s.h, server: s.server.URL}
	g.file("testdata/ice.txt", 12)
}

// The quota is the user's that the credentials name.
func TestICEOfSessions(t *testing.T) {
	user := ""
	s := serve(t, Config{
		ICEServers: func(user string, until time.Time) []ICEServer {
			return []ICEServer{{URLs: []string{"turn:t"}, Username: user, Credential: until.UTC().Format(time.RFC3339), Lifetime: time.Hour}}
		},
		Settings: Settings{Auth: Auth{User: func(*http.Request) string { return user }}},
	})
	user = "ada"
	c := s.dial(nil)
	c.say(`{"op":"hello"}`)
	want := []any{map[string]any{"urls": []any{"turn:t"}, "username": "user ada", "credential": "0001-01-01T00:00:00Z", "expires": 3600.0}}
	if got := c.hear("welcome")["ice"]; !reflect.DeepEqual(got, want) {
		t.Errorf("welcome says %v", got)
	}
}

func TestSiteWithoutICE(t *testing.T) {
	s := serve(t, Config{})
	c := s.dial(nil)
	c.say(`{"op":"hello"}`)
	if _, there := c.hear("welcome")["ice"]; there {
		t.Error("a welcome tells servers that are not there")
	}
	res, err := http.Get(s.server.URL + "/genosrtc/ice?room=demo")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answered %s", res.Status)
	}
}
