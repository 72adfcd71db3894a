package handler

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
)

// What WHIP wants of HTTP (RFC 9725), clause by clause. Sessions that these requests
// make have nobody at the other end.
func TestWHIPHTTP(t *testing.T) {
	s := serveWHIP(t, Config{
		ClientIP: func(r *http.Request) string { return r.Header.Get("X-Test-Address") },
		Settings: Settings{
			Rooms:   func(name string) bool { return name != "unknown" },
			Origins: []string{"https://app.example"},
			Limits:  Limits{SessionsPerAddress: 3},
		},
	})
	if _, err := s.node.Open(engine.RoomConfig{Name: "secret", Password: "geheim"}); err != nil {
		t.Fatal(err)
	}
	g := &golden{t: t, handler: s.h, open: 1000, server: s.server.URL}
	for range 3 { // so many are possible
		if res, body := s.ask("POST", demoWHIP, g.offer("data.sdp"), "Content-Type", typeSDP, "X-Test-Address", "full"); res.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %s", res.Status, body)
		}
	}
	g.file("testdata/whip.txt", 40)
}

// A site that is strict, and asks for tokens.
func TestStrictWHIPHTTP(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: bytes.Repeat([]byte("k"), 32), Audience: "demo"}
	tokens, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := serveWHIP(t, Config{Settings: Settings{Auth: Auth{Tokens: tokens}, StrictWHIP: true}})
	mint := func(c admission.Claims) string {
		c.User, c.Expires = "ada", time.Now().Add(time.Hour)
		made, err := admission.Mint(cfg, c)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	s.open("other")
	g := &golden{t: t, handler: s.h, open: 1000, server: s.server.URL, tokens: strings.NewReplacer(
		"GOOD-TOKEN", mint(admission.Claims{Rooms: []string{"demo"}}), "OTHER-TOKEN", mint(admission.Claims{Rooms: []string{"other"}}),
		"MUTE-TOKEN", mint(admission.Claims{Publish: []string{"chat"}}),
	)}
	g.file("testdata/whip_strict.txt", 10)
}

// offer reads an offer: the name of a file, and what replaces what in it.
func (g *golden) offer(text string) string {
	g.t.Helper()
	name, change, _ := strings.Cut(text, ", ")
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		g.t.Fatal(err)
	}
	offer := string(raw)
	if old, new, ok := strings.Cut(change, " => "); ok {
		if !strings.Contains(offer, old) {
			g.t.Fatalf("%s has no %q", name, old)
		}
		offer = strings.ReplaceAll(offer, old, strings.ReplaceAll(new, `\n`, "\n"))
	}
	return strings.ReplaceAll(offer, "\n", "\r\n")
}

// described is what is the same in each run of a description.
func described(sdp []byte) []byte {
	var out bytes.Buffer
	shown := []string{"a=group", "a=setup", "a=mid", "a=sendonly", "a=recvonly", "a=inactive", "a=rtcp-mux", "a=max-message-size", "a=end-of-candidates"}
	hidden := []string{"a=ice-ufrag", "a=ice-pwd", "a=candidate", "a=fingerprint"}
	for line := range bytes.Lines(sdp) {
		text := strings.TrimRight(string(line), "\r\n")
		name, _, _ := strings.Cut(text, ":")
		switch {
		case strings.HasPrefix(text, "m="), slices.Contains(shown, name):
			out.WriteString(text + "\n")
		case slices.Contains(hidden, name) && !bytes.HasSuffix(out.Bytes(), []byte(name+":…\n")):
			out.WriteString(name + ":…\n")
		}
	}
	return out.Bytes()
}
