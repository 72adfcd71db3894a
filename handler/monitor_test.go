package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// Without the option there is nothing, and with it the page, as long as it stays on.
func TestMonitorIsOffByDefault(t *testing.T) {
	s := serve(t, Config{})
	paths := []string{"/genosrtc/", "/genosrtc/monitor.js", "/genosrtc/monitor.css", "/genosrtc/rooms/demo/monitor"}
	for _, on := range []bool{false, true, false} {
		set := Settings{}
		if on {
			set.Monitor = &Monitor{}
		}
		if err := s.h.Configure(set); err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			a := get(t, s.server.URL+path, nil)
			if !on {
				a.want(http.StatusNotFound)
			} else if a.status != http.StatusOK {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
}

// The page names rooms to who may enter them, and lets no other code in.
func TestMonitorPage(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Monitor: &Monitor{Rooms: []string{"demo", "locked", "closed", `"><b>`}}}})
	if _, err := s.node.Open(engine.RoomConfig{Name: "locked", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	s.open(`"><b>`)
	page := get(t, s.server.URL+"/genosrtc/", nil)
	for text, want := range map[string]bool{
		`<option value="demo">`: true, "locked": false, "closed": false, `"><b>`: false, `data-credentials="omit"`: true,
	} {
		if got := strings.Contains(string(page.body), text); got != want {
			t.Errorf("%q in the page: %v", text, got)
		}
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	set := Settings{Monitor: &Monitor{Rooms: []string{"demo"}}, Auth: Auth{User: func(r *http.Request) string { return r.Header.Get("User") }}}
	if err := s.h.Configure(set); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]bool{"": false, "ada": true} {
		page := string(get(t, s.server.URL+"/genosrtc/", http.Header{"User": {user}}).body)
		if strings.Contains(page, "demo") != want || !strings.Contains(page, `data-credentials="same-origin"`) {
			t.Errorf("user %q: %s", user, page)
		}
	}
}

// Who watches a room has to show what who enters it shows.
func TestMonitorAsksForCredentials(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Monitor: &Monitor{}, Rooms: func(name string) bool { return name != "hidden" }}})
	if _, err := s.node.Open(engine.RoomConfig{Name: "locked", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	s.open("hidden")
	url := s.server.URL + "/genosrtc/rooms/"
	basic := func(password string) http.Header {
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth("", password)
		return r.Header
	}
	get(t, url+"locked/monitor", nil).want(http.StatusUnauthorized)
	get(t, url+"locked/monitor", basic("wrong")).want(http.StatusUnauthorized)
	get(t, url+"hidden/monitor", nil).want(http.StatusNotFound)
	get(t, url+"demo/monitor", http.Header{"Origin": {"https://elsewhere.example"}}).want(http.StatusForbidden)
	request(t, http.MethodPost, url+"demo/monitor", nil).want(http.StatusMethodNotAllowed)
	if a := get(t, url+"locked/monitor", basic("secret")); a.status != http.StatusOK || strings.Contains(string(a.body), "secret") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What it tells of sessions and relays, and what it does not.
func TestMonitorTellsOfTheRoom(t *testing.T) {
	relays := func() []signaling.RelayStatus {
		return []signaling.RelayStatus{
			{URL: "local", State: signaling.Connected, Since: time.UnixMilli(1000)},
			{URL: "wss://user:word@relay.example/key?token=x", State: signaling.Waiting, Since: time.UnixMilli(2000), LastError: "dial 10.0.0.7"},
		}
	}
	s := serve(t, Config{Relays: relays, Settings: Settings{Monitor: &Monitor{}}})
	c := s.enter()
	c.say(`{"op":"send","seq":1,"channel":"chat","data":"twelve bytes"}`)
	c.hear("ack")
	a := get(t, s.server.URL+"/genosrtc/rooms/demo/monitor", nil)
	var doc pictureDocument
	if err := json.Unmarshal(a.body, &doc); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	if len(doc.Peers) != 2 || doc.Peers[0].Kind != "server" || doc.Peers[1].Kind != "session" || doc.Peers[1].Peer != c.id ||
		doc.Peers[1].Session == nil || !doc.Peers[1].Session.Connected {
		t.Errorf("peers: %s", a.body)
	}
	if want := (totalsDocument{Peers: 2, Sessions: 1}); doc.Totals != want {
		t.Errorf("totals %+v, want %+v", doc.Totals, want)
	}
	if want := (trafficDocument{Messages: 1, MessageBytes: uint64(len("twelve bytes"))}); doc.Traffic != want {
		t.Errorf("traffic %+v, want %+v", doc.Traffic, want)
	}
	want := []relayPicture{{"local", "connected", 1000}, {"wss://relay.example", "waiting", 2000}}
	if fmt.Sprint(doc.Relays) != fmt.Sprint(want) {
		t.Errorf("relays %v, want %v", doc.Relays, want)
	}
	for _, secret := range []string{"user", "word", "key", "token", "10.0.0.7", "127.0.0.1"} {
		if strings.Contains(string(a.body), secret) {
			t.Errorf("%q is told: %s", secret, a.body)
		}
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("it may be stored")
	}
}

// All who watch share one picture, and the next one is another.
func TestMonitorTakesOnePicture(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Monitor: &Monitor{}}})
	first, err := s.h.monitor.picture(s.h, s.room)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		again, err := s.h.monitor.picture(s.h, s.room)
		if err != nil || &again[0] != &first[0] {
			t.Fatalf("another picture within %v: %v", pictureLife, err)
		}
	}
	testclient.Eventually(t, "there is a new one", func() bool {
		next, err := s.h.monitor.picture(s.h, s.room)
		return err == nil && &next[0] != &first[0]
	})
	if err := s.room.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := s.open("demo")
	if _, err := s.h.monitor.picture(s.h, fresh); err != nil {
		t.Errorf("of a room that was opened anew: %v", err)
	}
	for i := range 2 * maxPictures {
		if _, err := s.h.monitor.picture(s.h, s.open(fmt.Sprintf("room %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.h.monitor.pictures.Len(); n != maxPictures {
		t.Errorf("%d pictures are kept, want %d", n, maxPictures)
	}
}

// Without its slash the page's address leads to it.
func TestMonitorWithoutSlash(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Monitor: &Monitor{}}})
	a := get(t, s.server.URL+"/genosrtc", nil)
	if a.status/100 != 3 || a.header.Get("Location") != "/genosrtc/" {
		t.Errorf("%d to %q", a.status, a.header.Get("Location"))
	}
	if err := s.h.Configure(Settings{}); err != nil {
		t.Fatal(err)
	}
	get(t, s.server.URL+"/genosrtc", nil).want(http.StatusNotFound)
}
