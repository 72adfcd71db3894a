package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// ask asks the admin API, and reads the answer into a value where there is one.
func (c *caddyServer) ask(method, path, body string, into any) (status int, answer string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(testclient.Within(c.t), method, "http://"+c.admin+"/genosrtc"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := testclient.HTTP.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return res.StatusCode, string(raw)
}

func TestAdminTells(t *testing.T) {
	c := newAdmin(t)
	c.load("genosrtc {\nroom demo {\nmemory\n}\nroom a/b\n}")
	alice := testclient.Join(t, c.url, "demo", "")
	var rooms []roomDocument
	if status, body := c.ask("GET", "/rooms", "", &rooms); status != 200 || len(rooms) != 2 || rooms[1].Room != "demo" || rooms[1].Sessions != 1 {
		t.Errorf("rooms: %d %s", status, body)
	}
	var room wholeRoom
	if status, body := c.ask("GET", "/rooms/demo", "", &room); status != 200 || len(room.Members) != 1 || room.Members[0].State != "connected" || room.Graph == nil || room.Graph.FileSize == 0 {
		t.Errorf("room: %d %s", status, body)
	}
	if status, body := c.ask("GET", "/rooms/a%2Fb", "", nil); status != 200 {
		t.Errorf("a name with a slash: %d %s", status, body)
	}
	var sessions []sessionDocument
	if status, body := c.ask("GET", "/sessions", "", &sessions); status != 200 || len(sessions) != 1 || sessions[0].Peer != alice.Welcome.Peer || sessions[0].Address != "127.0.0.1" {
		t.Errorf("sessions: %d %s", status, body)
	}
	var relays relaysDocument
	if status, body := c.ask("GET", "/relays", "", &relays); status != 200 || len(relays.Relays) != 1 || relays.Relays[0].URL != "local" {
		t.Errorf("relays: %d %s", status, body)
	}
	for _, path := range []string{"/health/live", "/health/ready", "/status"} {
		if status, body := c.ask("GET", path, "", nil); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		say                string
	}{
		{"GET", "/nothing", "", 404, "nothing at"},
		{"GET", "/rooms/other", "", 404, "not opened"},
		{"GET", "/rooms/demo/why", "", 400, "peer is missing"},
		{"GET", "/rooms/other/why?peer=x", "", 404, "not opened"},
		{"GET", "/rooms/demo/why?peer=x", "", 200, `"cause":"unseen"`},
		{"DELETE", "/rooms/demo", "", 405, "DELETE"},
		{"GET", "/drain", "", 405, "GET"},
		{"POST", "/rooms/demo/kick", "", 400, "peer is missing"},
		{"POST", "/rooms/demo/kick", `{"peer":"nobody"}`, 404, "no such peer"},
		{"POST", "/rooms/demo/kick", `{"peer":"x","for":"never"}`, 400, "duration"},
		{"POST", "/rooms/demo/kick", `{"pier":"x"}`, 400, "unknown field"},
		{"POST", "/rooms/demo/kick", `{"peer":`, 400, "EOF"},
		{"POST", "/rooms/other/kick", `{"peer":"x"}`, 404, "not opened"},
		{"POST", "/rooms/other/close", "", 404, "not opened"},
		{"POST", "/relays/add", `{"url":"http://x"}`, 400, "relay"},
		{"POST", "/relays/remove", `{"url":"wss://nowhere.example"}`, 404, "no such relay"},
		{"POST", "/drain", `{"over":"-1s"}`, 400, "duration"},
		{"POST", "/drain", `{"over":"` + strings.Repeat("1", maxAdminBody) + `s"}`, 400, "more than"},
	} {
		status, body := c.ask(test.method, test.path, test.body, nil)
		if status != test.status || !strings.Contains(body, test.say) {
			t.Errorf("%s %s %.40s: %d %s", test.method, test.path, test.body, status, body)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+c.admin+"/genosrtc/drain", strings.NewReader("over=1s"))
	res, err := testclient.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("a form: %d", res.StatusCode)
	}
}

func TestAdminKicksAndCloses(t *testing.T) {
	c := newAdmin(t)
	c.load(demo)
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	if status, body := c.ask("POST", "/rooms/demo/kick", `{"peer":"`+alice.Welcome.Peer+`"}`, nil); status != 200 {
		t.Fatalf("kick: %d %s", status, body)
	}
	if code, reason := alice.Ended(); code != 1008 || reason != "kicked" {
		t.Errorf("who was kicked ends with %d %s", code, reason)
	}
	bob.Say("still here", testclient.Join(t, c.url, "demo", ""))
	if status, body := c.ask("POST", "/rooms/demo/close", "", nil); status != 200 {
		t.Fatalf("close: %d %s", status, body)
	}
	if code, reason := bob.Ended(); code != 1001 || reason != "room closed" {
		t.Errorf("in a room that is closed a session ends with %d %s", code, reason)
	}
	testclient.Join(t, c.url, "demo", "").Say("the room is open again", testclient.Join(t, c.url, "demo", ""))
}

func TestAdminChangesRelays(t *testing.T) {
	c := newAdmin(t)
	c.load(demo)
	other := strings.Replace(c.url, "http", "ws", 1) + "/relay"
	relays := func() (all relaysDocument) {
		c.ask("GET", "/relays", "", &all)
		return all
	}
	if status, body := c.ask("POST", "/relays/add", `{"url":"`+other+`"}`, nil); status != 200 {
		t.Fatalf("add: %d %s", status, body)
	}
	testclient.Eventually(t, "the relay is connected", func() bool {
		all := relays().Relays
		return len(all) == 2 && all[1].State == "connected"
	})
	if status, body := c.ask("POST", "/relays/add", `{"url":"`+other+`"}`, nil); status != 409 {
		t.Errorf("add again: %d %s", status, body)
	}
	if status, body := c.ask("POST", "/relays/remove", `{"url":"`+other+`"}`, nil); status != 200 || len(relays().Relays) != 1 {
		t.Errorf("remove: %d %s", status, body)
	}
	c.ask("POST", "/relays/add", `{"url":"`+other+`"}`, nil)
	c.load(demo + "\nrespond \"the configuration counts\"")
	if n := len(relays().Relays); n != 1 {
		t.Errorf("%d relays after a reload", n)
	}
}

// A drain refuses who is new and sends away who is there, over reloads, until it is
// taken back.
func TestAdminDrains(t *testing.T) {
	c := newAdmin(t)
	c.load(demo)
	alice := testclient.Join(t, c.url, "demo", "")
	var status statusDocument
	if code, body := c.ask("POST", "/drain", `{"over":"10ms"}`, &status); code != 200 || !status.Draining {
		t.Fatalf("drain: %d %s", code, body)
	}
	if code, reason := alice.Ended(); code != 1012 || reason != "server draining" {
		t.Errorf("a session ends with %d %s", code, reason)
	}
	refused := func(when, url string) {
		t.Helper()
		res, err := testclient.HTTP.Get(url + "/rooms/demo/ws")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s a new session is answered %d, Retry-After %q", when, res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
	refused("while draining", c.url)
	var ready health
	if code, _ := c.ask("GET", "/health/ready", "", &ready); code != 503 || len(ready.Trouble) != 1 {
		t.Errorf("ready: %d %+v", code, ready)
	}
	c.load("genosrtc /new {\nroom demo\n}")
	refused("after a reload", strings.Replace(c.url, "/genosrtc", "/new", 1))
	if code, body := c.ask("POST", "/undrain", "", &status); code != 200 || status.Draining {
		t.Errorf("undrain: %d %s", code, body)
	}
	c.load(demo)
	bob := testclient.Join(t, c.url, "demo", "")
	// Who was not sent away yet stays when it is taken back.
	c.ask("POST", "/drain", `{"over":"24h"}`, nil)
	c.ask("POST", "/undrain", "", nil)
	bob.Say("still here", testclient.Join(t, c.url, "demo", ""))
	began := time.Now()
	c.ask("POST", "/drain", `{"over":"0s"}`, nil)
	if code, _ := bob.Ended(); code != 1012 || time.Since(began) > 5*time.Second {
		t.Errorf("at once: %d after %v", code, time.Since(began))
	}
}
