package caddymodule

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// What a new configuration refuses ends, what it takes goes on.
func TestReloadJudgesAgain(t *testing.T) {
	c := newCaddy(t)
	site := func(key, audience, more string) string {
		return "genosrtc {\nroom demo\nauth jwt {\nalgorithm HS256\nkey `" + key + "`\naudience " + audience + "\n}\n" + more + "\n}"
	}
	c.load(site(secret, "demo", ""))
	join := func(token string) (*testclient.Client, testclient.Message) {
		s, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Token: token})
		if m.Op != "welcome" {
			t.Fatalf("%+v", m)
		}
		return s, m
	}
	token := mint(t, admission.Claims{User: "ada"})
	ada, welcome := join(token)
	c.load(site(secret, "demo", "origins https://other.example"))
	bob, _ := join(token)
	ada.Say("still here", bob)
	key := strings.ToUpper(secret)
	c.load(site(key, "demo", ""))
	for _, s := range []*testclient.Client{ada, bob} {
		if code, reason := s.Ended(); code != 4001 || reason != "token" {
			t.Errorf("ended with %d %q", code, reason)
		}
	}
	fresh, err := admission.Mint(admission.Config{Algorithm: "HS256", Key: []byte(key), Audience: "demo"}, admission.Claims{User: "ada", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Token: fresh, Resume: welcome.Resume}); !m.Resumed || m.Peer != welcome.Peer {
		t.Errorf("not resumed: %+v", m)
	}

	c.load(demo) // no admission any more
	old := testclient.Join(t, c.url, "demo", "")
	c.load(site(secret, "demo", ""))
	if code, reason := old.Ended(); code != 4001 || reason != "token" {
		t.Errorf("a session without a token ended with %d %q", code, reason)
	}
}

// After a restart of the server a session shows its token again.
func TestRestartAsksForTheToken(t *testing.T) {
	c := newCaddy(t)
	site := "genosrtc {\nroom demo\nauth jwt {\nalgorithm HS256\nkey `" + secret + "`\naudience demo\n}\n}"
	c.load(site)
	token := mint(t, admission.Claims{Publish: []string{}})
	_, welcome := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Token: token})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	c.load(site)
	if _, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Resume: welcome.Resume}); m.Code != "token" {
		t.Errorf("resumed without a token: %+v", m)
	}
	s, m := testclient.Greet(t, c.url, "demo", nil, testclient.Message{Resume: welcome.Resume, Token: token})
	if !m.Resumed {
		t.Errorf("%+v", m)
	}
	s.Refused("not heard", "forbidden")
}
