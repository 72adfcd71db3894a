package handler

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

var update = flag.Bool("update", false, "write the answers to the files in testdata")

// The files in testdata have requests and their answers, made one after the other at one
// server. A test has "###" and a name; lines with ">" are the request, and lines with "<"
// the answer. Of a stream as many events are read as "events: N" says. @n is the nth
// offset after that of the first message, SELF the server's own origin, PEER-n a
// peer id, SESSION-n a session over WebRTC, TIME-n a timestamp of a graph and SEQ-n a place in its changes, in the order in which they appear. Of the headers those are shown that shownHeaders lists.
var shownHeaders = []string{
	"Content-Type", "Allow", "Www-Authenticate", "Retry-After", "Vary", "Cache-Control", "X-Accel-Buffering", "Accept-Encoding", "Accept-Post",
	"Accept", "Accept-Patch", "Etag", "Location", "Link",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods",
	"Access-Control-Allow-Headers", "Access-Control-Max-Age",
}

func TestHTTP(t *testing.T) {
	s := serve(t, Config{
		ClientIP: func(r *http.Request) string { return r.Header.Get("X-Test-Address") },
		Settings: Settings{
			Rooms:   func(name string) bool { return name != "unknown" },
			Origins: []string{"https://app.example"},
			Limits:  Limits{Message: 1000, SessionsPerAddress: 2},
		},
	})
	if _, err := s.node.Open(engine.RoomConfig{Name: "secret", Password: "geheim"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.node.Open(engine.RoomConfig{Name: "ruled", Rules: []engine.Rule{{
		Channel: "chat", MaxSize: 40,
		Schema: []byte(`{"type": "object", "properties": {"text": {"type": "string"}}}`),
	}}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // so many are possible
		s.events("demo", "?channel=none", http.Header{"X-Test-Address": {"busy"}}).next()
	}
	g := &golden{t: t, handler: s.h, open: s.h.Stats().Sessions, server: s.server.URL}
	g.file("testdata/http.txt", 40)
}

// golden runs cases.
type golden struct {
	t       *testing.T
	handler *Handler
	open    int // streams, all the time
	server  string
	first   uint64 // the first offset
	// In order of appearance.
	peers, times, sessions []string
	seqs                   []string          // nil: there are offsets in their place
	tokens                 *strings.Replacer // nil: there are none
}

// file runs the cases in a file, at least so many.
func (g *golden) file(name string, least int) {
	g.t.Helper()
	before, err := os.ReadFile(name)
	if err != nil {
		g.t.Fatal(err)
	}
	var after strings.Builder
	n := 0
	for block := range strings.SplitAfterSeq(string(before), "\n\n") {
		if name, ok := strings.CutPrefix(block, "### "); ok {
			n++
			name, _, _ = strings.Cut(name, "\n")
			block = g.run(name, block)
		}
		after.WriteString(block)
	}
	if n < least {
		g.t.Errorf("%d cases", n)
	}
	if *update {
		if err := os.WriteFile(name, []byte(after.String()), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
}

// run returns a case with the answer that it got.
func (g *golden) run(name, block string) string {
	g.t.Helper()
	var request, want strings.Builder
	for line := range strings.Lines(block) {
		switch {
		case strings.HasPrefix(line, ">"):
			request.WriteString(strings.TrimPrefix(line[1:], " "))
		case strings.HasPrefix(line, "<"):
			want.WriteString(line)
		}
	}
	var got strings.Builder
	for line := range strings.Lines(g.hide(g.do(name, g.show(request.String())))) {
		got.WriteString(strings.TrimRight("< "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	if got.String() != want.String() && !*update {
		g.t.Errorf("%s: got\n%swant\n%s", name, &got, &want)
	}
	head := block[:strings.Index(block, ">")]
	var asked strings.Builder
	for line := range strings.Lines(block) {
		if strings.HasPrefix(line, ">") {
			asked.WriteString(line)
		}
	}
	return head + asked.String() + got.String() + "\n"
}

// do makes a request and returns the answer as it is to be shown.
func (g *golden) do(name, text string) string {
	g.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	body = strings.TrimSuffix(body, "\n")
	if n, ok := strings.CutSuffix(body, " times x"); ok {
		count, err := strconv.Atoi(n)
		if err != nil {
			g.t.Fatal(err)
		}
		body = strings.Repeat("x", count)
	}
	if quoted, err := strconv.Unquote(body); err == nil && strings.Contains(body, `\x`) {
		body = quoted
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.server+"/genosrtc"+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	events, offer := 0, ""
	for _, line := range lines[1:] {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if key == "events" {
			events, _ = strconv.Atoi(value)
			continue
		}
		if key == "offer" { // a file, and a change of it
			offer = value
			continue
		}
		r.Header.Add(key, value)
	}
	if offer != "" {
		body = g.offer(offer)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	defer func() {
		res.Body.Close()
		g.settle()
	}()
	var answer strings.Builder
	fmt.Fprintln(&answer, res.StatusCode)
	for _, h := range shownHeaders {
		for _, v := range res.Header.Values(h) {
			fmt.Fprintf(&answer, "%s: %s\n", h, v)
		}
	}
	var content []byte
	if events > 0 {
		read := bufio.NewReader(res.Body)
		for range events {
			event, err := readEvent(read)
			if err != nil {
				g.t.Fatalf("%s: %v after %s %s", name, err, res.Status, content)
			}
			content = append(content, event...)
		}
	} else if content, err = io.ReadAll(res.Body); err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	if strings.Contains(res.Header.Get("Content-Type"), "sdp") {
		content = described(content)
	}
	if content = bytes.TrimSpace(content); len(content) > 0 {
		fmt.Fprintf(&answer, "\n%s\n", content)
	}
	return answer.String()
}

// settle waits until the server has noticed that a stream was closed, which counts
// in the limit of its address until then.
func (g *golden) settle() {
	g.t.Helper()
	eventually(g.t, "the stream ends", func() bool { return g.handler.Stats().Sessions <= g.open })
}

// readEvent returns the lines up to an empty one.
func readEvent(r *bufio.Reader) (string, error) {
	var event strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		event.WriteString(line)
		if line == "\n" {
			return event.String(), nil
		}
	}
}

var (
	anOffset = regexp.MustCompile(`\b[0-9]{16}\b`)
	aPlace   = regexp.MustCompile(`@[0-9]+`)
	aPeer    = regexp.MustCompile(`\b0[0-9A-Za-z]{19}\b`)
	aName    = regexp.MustCompile(`PEER-[0-9]+`)
	aTime    = regexp.MustCompile(`\b([0-9]{13})-([0-9]+)\b|{"physical":([0-9]+),"logical":([0-9]+)}`)
	aSession = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
	aGuest   = regexp.MustCompile(`SESSION-[0-9]+`)
	aStamp   = regexp.MustCompile(`\b(TIME|SEQ)-[0-9]+`)
	aRetry   = regexp.MustCompile(`retry: [123][0-9]{3}\b`)
)

// hide replaces what is another in each run by what is not.
func (g *golden) hide(text string) string {
	text = aTime.ReplaceAllStringFunc(text, func(s string) string {
		m := aTime.FindStringSubmatch(s)
		return appeared(&g.times, "TIME", m[1]+m[3]+"-"+m[2]+m[4])
	})
	text = anOffset.ReplaceAllStringFunc(text, func(s string) string {
		if g.seqs != nil {
			return appeared(&g.seqs, "SEQ", s)
		}
		n, _ := strconv.ParseUint(s, 10, 64)
		if g.first == 0 {
			g.first = n
		}
		if at := int64(n - g.first); at > -1000 && at < 1000 {
			return fmt.Sprint("@", at)
		}
		return "@another-room"
	})
	text = aSession.ReplaceAllStringFunc(text, func(s string) string {
		return appeared(&g.sessions, "SESSION", s)
	})
	text = aPeer.ReplaceAllStringFunc(text, func(s string) string {
		return appeared(&g.peers, "PEER", s)
	})
	text = strings.ReplaceAll(text, g.server, "SELF")
	return aRetry.ReplaceAllString(text, "retry: 1000-3000")
}

// appeared is the name of what has appeared.
func appeared(all *[]string, kind, s string) string {
	if !slices.Contains(*all, s) {
		*all = append(*all, s)
	}
	return fmt.Sprint(kind, "-", slices.Index(*all, s))
}

func (g *golden) show(text string) string {
	text = aPlace.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.ParseUint(s[1:], 10, 64)
		return fmt.Sprint(g.first + n)
	})
	text = aName.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.Atoi(s[len("PEER-"):])
		return g.peers[n]
	})
	text = aGuest.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.Atoi(s[len("SESSION-"):])
		return g.sessions[n]
	})
	text = aStamp.ReplaceAllStringFunc(text, func(s string) string {
		kind, i, _ := strings.Cut(s, "-")
		n, _ := strconv.Atoi(i)
		if kind == "TIME" {
			return g.times[n]
		}
		return g.seqs[n]
	})
	if g.tokens != nil {
		text = g.tokens.Replace(text)
	}
	return strings.ReplaceAll(text, "SELF", g.server)
}
