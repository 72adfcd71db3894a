package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/admission"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	server := m.server()
	in, typed := keyboard(t)
	ada := m.start(in, "genosrtc", "join", "--name", "Ada")
	ada.says("0 others")
	machine := m.start(strings.NewReader("{\"n\": 1}\nnot JSON\n\x1b\"\n{\"text\": \"\\u001b[2J\", \"name\": \"Eve\"}\n"), "genosrtc", "join", "--as", "json")
	machine.exits(1)
	machine.says("2 of the lines were refused")
	ada.until("messages", func() bool { return strings.Contains(ada.out.String(), "Eve: \ufffd[2J\n") })
	ada.says("joined (session)")
	ada.says(" left")
	if !strings.Contains(ada.out.String(), `: {"n":1}`) {
		t.Errorf("Ada saw:\n%s", ada.out.String())
	}

	bob := m.start(nil, "genosrtc", "peers", "--watch", "--json")
	bob.until("list", func() bool { return strings.Contains(bob.out.String(), "superpeer") })
	server.kill()
	ada.says("not connected")
	m.server()
	ada.says("connected again")
	bob.says("connected again") // else the listener may come and go before
	silent, _ := keyboard(t)
	listener := m.start(silent, "genosrtc", "join", "--history", "10")
	listener.says("in room")
	if _, err := typed.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	listener.until("line", func() bool { return strings.Contains(listener.out.String(), "Ada: hello\n") })
	listener.interrupt()
	listener.exits(0)
	bob.until("events", func() bool {
		return strings.Contains(bob.out.String(), `"event":"join"`) && strings.Contains(bob.out.String(), `"event":"leave"`)
	})
	bob.interrupt()
	bob.exits(0)
	typed.Close()
	ada.exits(0)
}

// keyboard is a standard input, and where to type it. It is a file, as a process
// is waited for until its input was copied where that is none.
func keyboard(t *testing.T) (in, typed *os.File) {
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		typed.Close()
	})
	return in, typed
}

func TestPeers(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.server()
	p := m.start(nil, "genosrtc", "peers")
	p.exits(0)
	if !regexp.MustCompile(`^\w{20}  superpeer\n$`).MatchString(p.out.String()) {
		t.Errorf("%q", p.out.String())
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	const key = "a secret of at least thirty-two bytes"
	m := &machine{T: t, dir: t.TempDir()}
	m.write("key", []byte(key+"\n"))
	p := m.start(nil, "genosrtc", "token", "--key-file", "key", "--audience", "my-app", "--user", "ada",
		"--room", "my-*,other", "--publish", "", "--subscribe", "chat", "--expires", "5m")
	p.exits(0)
	token, ended := strings.CutSuffix(p.out.String(), "\n")
	v, err := admission.NewVerifier(admission.Config{Algorithm: "HS256", Key: []byte(key), Audience: "my-app"})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := v.Verify(token, "my-room")
	if err != nil || !ended || grant.User != "ada" || grant.MayPublish("chat") || !grant.MaySubscribe("chat") || grant.MaySubscribe("x") {
		t.Errorf("%q: %+v, %v", token, grant, err)
	}
	if _, err := v.Verify(token, "third"); err == nil {
		t.Error("the token opens every room")
	}
	for _, args := range [][]string{
		{"--audience", "my-app"},
		{"--key-file", "none", "--audience", "my-app"},
		{"--key-file", "key"},
		{"--key-file", "key", "--audience", "my-app", "--algorithm", "none"},
		{"--key-file", "key", "--audience", "my-app", "--expires", "-1s"},
		{"--key", "short", "--audience", "my-app"},
	} {
		p := m.start(nil, append([]string{"genosrtc", "token"}, args...)...)
		p.exits(1)
		if p.out.String() != "" || strings.Contains(p.err.String(), key) {
			t.Errorf("%q: %q, %q", args, p.out.String(), p.err.String())
		}
	}
}

// TestTokenOpens has a server that wants tokens.
func TestTokenOpens(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "auth jwt {\n algorithm HS256\n key a-secret-of-at-least-thirty-two-bytes\n audience my-app\n }")
	m.server()
	stranger := m.start(strings.NewReader("hello\n"), "genosrtc", "join")
	stranger.exits(1)
	stranger.says("GENOSRTC_TOKEN")
	token := m.start(nil, "genosrtc", "token", "--key", "a-secret-of-at-least-thirty-two-bytes", "--audience", "my-app")
	token.exits(0)
	m.start(strings.NewReader("hello\n"), "genosrtc", "join", "--token", strings.TrimSpace(token.out.String())).exits(0)
}

func TestBench(t *testing.T) {
	t.Parallel()
	m := &machine{T: t, dir: t.TempDir()}
	p := m.start(nil, "genosrtc", "bench", "--server", "", "--sessions", "8", "--rate", "50", "--duration", "1s")
	p.exits(0)
	if out := p.out.String(); !regexp.MustCompile(`deliveries +350, \d+/s\n`).MatchString(out) || !strings.Contains(out, "missing     0\n") {
		t.Errorf("%s", out)
	}
}
