package handler

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
