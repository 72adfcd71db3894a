package genosrtc

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/nbd-wtf/go-nostr"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// hasOpen tells whether a room is open.
func (s *Server) hasOpen(name string) bool {
	_, ok := s.node.Room(name)
	return ok
}

// A room on demand is open from its first session on, until it has been without
// users for a while; then nothing of it is left.
func TestRoomsOnDemand(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Rooms: rooms("lobby"), OnDemand: []string{"public-*"}, Storage: dir}
	s := start(t, cfg)
	url := serve(t, s, Site{})
	for name, want := range map[string]int{
		"private": 404, "public": 404, "public-a%2Fb": 404,
		"public-" + strings.Repeat("x", maxDemandedName): 404,
		"public-%FF": 404, "lobby": 101, "public-x": 101,
	} {
		if _, status := testclient.Dial(t, url, name, nil); status != want {
			t.Errorf("room %s: status %d, want %d", name, status, want)
		}
	}
	now := time.Now()
	alice, bob := testclient.Join(t, url, "public-1", ""), testclient.Join(t, url, "public-1", "")
	alice.Say("hello", bob)
	if !s.hasOpen("public-1") {
		t.Error("the room is not open")
	}

	s.closeUnused(now)
	s.closeUnused(now.Add(unusedTime - 1))
	if !s.hasOpen("public-x") {
		t.Error("the unused room was closed early")
	}
	s.closeUnused(now.Add(unusedTime))
	if s.hasOpen("public-x") || !s.hasOpen("public-1") || !s.hasOpen("lobby") {
		t.Error("not just the unused room was closed")
	}
	alice.Say("still here", bob)

	apply(t, s, Config{Rooms: rooms("lobby", "public-1"), Storage: dir}) // it is configured now
	alice.Say("still here", bob)
	s.closeUnused(now.Add(10 * unusedTime))
	s.closeUnused(now.Add(20 * unusedTime))
	alice.Say("still here", bob)
	apply(t, s, cfg)
	if code, _ := alice.Ended(); code != 1001 {
		t.Errorf("ended with %d", code)
	}
	carol := testclient.Join(t, url, "public-2", "")
	apply(t, s, Config{Rooms: rooms("lobby"), Storage: dir})
	if code, _ := carol.Ended(); code != 1001 {
		t.Errorf("ended with %d", code)
	}
	if _, status := testclient.Dial(t, url, "public-2", nil); status != http.StatusNotFound {
		t.Errorf("a room of the configuration before: status %d", status)
	}
	left, err := filepath.Glob(filepath.Join(dir, "rooms", "public*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Rooms on demand are bounded: one without users goes for a new one.
func TestTooManyRoomsOnDemand(t *testing.T) {
	s := start(t, Config{OnDemand: []string{"?"}, MaxOnDemand: 2})
	url := serve(t, s, Site{})
	testclient.Dial(t, url, "a", nil)
	testclient.Join(t, url, "b", "")
	testclient.Join(t, url, "c", "") // in the place of a
	if s.hasOpen("a") {
		t.Error("the unused room is still open")
	}
	if _, status := testclient.Dial(t, url, "d", nil); status != http.StatusServiceUnavailable {
		t.Errorf("one more: status %d", status)
	}
	if _, status := testclient.Dial(t, url, "b", nil); status != http.StatusSwitchingProtocols {
		t.Errorf("one that is open: status %d", status)
	}
}

// Rooms on demand are open again after a restart, so that sessions can be
// resumed, and close again.
func TestRoomsOnDemandAfterRestart(t *testing.T) {
	cfg := Config{OnDemand: []string{"*"}, Storage: t.TempDir(), UDP: loopback}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, s, Site{})
	welcomes := map[string]testclient.Message{}
	for i := range 3 {
		name := fmt.Sprintf("Room %d", i)
		_, welcomes[name] = testclient.Greet(t, url, "Room%20"+name[5:], nil, testclient.Message{})
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = start(t, cfg)
	url = serve(t, s, Site{})
	for name, welcome := range welcomes {
		if !s.hasOpen(name) {
			t.Errorf("%s is not open again", name)
		}
		if _, m := testclient.Greet(t, url, "Room%20"+name[5:], nil, testclient.Message{Resume: welcome.Resume}); !m.Resumed {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(cfg.Storage, "rooms")); err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
}

// The relay carries the topics of a room on demand while it is open.
func TestRelayCarriesRoomsOnDemand(t *testing.T) {
	s := start(t, Config{OnDemand: []string{"*"}})
	url := serve(t, s, Site{})
	conn, _, err := websocket.Dial(testclient.Within(t), testclient.WebSocketURL(url)+"/relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	topic := signaling.RootTopic(engine.AppRoom("demo"))
	carried := func(content string) bool {
		ev := &nostr.Event{Kind: signaling.Kind(topic), CreatedAt: nostr.Now(), Tags: nostr.Tags{{"x", topic}}, Content: content}
		if err := ev.Sign(strings.Repeat("01", 32)); err != nil {
			t.Fatal(err)
		}
		if err := wsjson.Write(testclient.Within(t), conn, []any{"EVENT", ev}); err != nil {
			t.Fatal(err)
		}
		var answer []any
		if err := wsjson.Read(testclient.Within(t), conn, &answer); err != nil || len(answer) != 4 || answer[0] != "OK" {
			t.Fatalf("%v, %v", answer, err)
		}
		return answer[2] == true
	}
	if carried("1") {
		t.Error("carried before the room is open")
	}
	testclient.Dial(t, url, "demo", nil)
	if !carried("2") {
		t.Error("not carried")
	}
	s.closeUnused(time.Now())
	s.closeUnused(time.Now().Add(unusedTime))
	if carried("3") {
		t.Error("carried after the room was closed")
	}
}

// A room that is configured, with its password, is not opened without it.
func TestNamedRoomsAreNotOnDemand(t *testing.T) {
	c := Config{Rooms: []Room{{Name: "staff", Password: "sesame"}}, OnDemand: []string{"*"}}
	if c.onDemand("staff") || !c.onDemand("other") {
		t.Error("the wrong rooms are opened on demand")
	}
}
