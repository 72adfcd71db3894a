package caddymodule

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/quic-go/quic-go/http3"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// Server-Sent Events and POST go through Caddy over every version of HTTP, past its
// compression and its timeout of silent writes.
func TestEvents(t *testing.T) {
	c := newCaddy(t)
	caddyfile := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https disable_redirects
	skip_install_trust
	storage file_system %[1]s
	log {
		output discard
	}
	servers {
		timeouts {
			write_idle 300ms
		}
	}
	genosrtc {
		udp 127.0.0.1:0
		storage %[1]s
	}
}
https://127.0.0.1:%[2]s {
	bind 127.0.0.1
	tls internal
	encode gzip
	genosrtc {
		room demo
	}
}
`, c.storage, c.port)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	insecure := &tls.Config{InsecureSkipVerify: true} // a certificate of Caddy's own
	one := &http.Transport{TLSClientConfig: insecure.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	two := &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}
	three := &http3.Transport{TLSClientConfig: insecure.Clone()}
	t.Cleanup(func() {
		one.CloseIdleConnections()
		two.CloseIdleConnections()
		if err := three.Close(); err != nil {
			t.Error(err)
		}
	})
	room := "https://127.0.0.1:" + c.port + "/genosrtc/rooms/demo"
	testclient.Eventually(t, "Caddy has made its certificate", func() bool {
		res, err := (&http.Client{Transport: one}).Get(room)
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	for major, transport := range map[int]http.RoundTripper{1: one, 2: two, 3: three} {
		t.Run(fmt.Sprint("HTTP/", major), func(t *testing.T) {
			client := &http.Client{Transport: transport}
			do := func(method, url, body string, header ...string) *http.Response {
				t.Helper()
				r, err := http.NewRequestWithContext(testclient.Within(t), method, url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { res.Body.Close() })
				if res.ProtoMajor != major {
					t.Errorf("%s over %s", method, res.Proto)
				}
				return res
			}
			res := do("GET", room+"/events", "", "Accept-Encoding", "gzip")
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
				t.Fatalf("%d %v", res.StatusCode, res.Header)
			}
			events := bufio.NewReader(res.Body)
			position := ""
			wait := func(part string) {
				t.Helper()
				for {
					line, err := events.ReadString('\n')
					if err != nil {
						t.Fatalf("waiting for %q: %v", part, err)
					}
					if id, ok := strings.CutPrefix(line, "id: "); ok {
						position = strings.TrimSpace(id)
					}
					if strings.Contains(line, part) {
						return
					}
				}
			}
			wait(`"op":"welcome"`)
			for i := range 3 {
				time.Sleep(200 * time.Millisecond) // three of them are longer than Caddy's timeout
				word := fmt.Sprintf("word %d", i)
				answer := do("POST", room+"/channels/chat", word, "Content-Type", "text/plain")
				body, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != 202 || !strings.Contains(string(body), `"seq":`) {
					t.Fatalf("POST: %d %s", answer.StatusCode, body)
				}
				wait(word)
			}
			res.Body.Close()
			before := position
			do("POST", room+"/channels/chat", "missed", "Content-Type", "text/plain")
			events = bufio.NewReader(do("GET", room+"/events", "", "Last-Event-ID", before).Body)
			wait(`"resumed":true`)
			wait(`"missed"`)
		})
	}
}

// Streams live through reloads that keep their room, and end with it.
func TestReloadKeepsStreams(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	r, err := http.NewRequestWithContext(testclient.Within(t), "GET", c.url+"/rooms/demo/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := testclient.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	wait := func(part string) {
		t.Helper()
		for {
			line, err := events.ReadString('\n')
			if strings.Contains(line, part) {
				return
			}
			if err != nil {
				t.Fatalf("waiting for %q: %v", part, err)
			}
		}
	}
	wait("welcome")
	for i := range 3 {
		c.load(fmt.Sprintf("genosrtc {\nroom demo\nroom room-%d\n}", i))
		word := fmt.Sprintf("after reload %d", i)
		posted, err := testclient.HTTP.Post(c.url+"/rooms/demo/channels/chat", "text/plain", strings.NewReader(word))
		for errors.Is(err, syscall.ECONNRESET) { // it was waiting at the listener that Caddy closed
			posted, err = testclient.HTTP.Post(c.url+"/rooms/demo/channels/chat", "text/plain", strings.NewReader(word))
		}
		if err != nil || posted.StatusCode != http.StatusAccepted {
			t.Fatal(posted, err)
		}
		posted.Body.Close()
		wait(word)
	}
	c.load("genosrtc {\nroom room-2\n}")
	wait("room closed")
}
