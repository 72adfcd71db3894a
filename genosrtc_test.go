package genosrtc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

const loopback = "127.0.0.1:0"

// start makes a server that is closed with the test.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	if cfg.UDP == "" {
		cfg.UDP = loopback
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	for i := 1; i < 10 && errors.Is(err, syscall.EADDRINUSE); i++ { // TURN needs a port that TCP has free too
		s, err = New(cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// serve serves a site of the server and returns the URL of its path.
func serve(t *testing.T, s *Server, site Site) string {
	t.Helper()
	h, err := s.Handler(site)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL + "/genosrtc"
}

func rooms(names ...string) (rooms []Room) {
	for _, name := range names {
		rooms = append(rooms, Room{Name: name})
	}
	return rooms
}

func apply(t *testing.T, s *Server, cfg Config) {
	t.Helper()
	cfg.UDP = loopback
	if err := s.Apply(cfg); err != nil {
		t.Fatal(err)
	}
}

func TestApplyOpensAndClosesRooms(t *testing.T) {
	s := start(t, Config{Rooms: rooms("stays", "goes")})
	url := serve(t, s, Site{})
	alice, bob := testclient.Join(t, url, "stays", ""), testclient.Join(t, url, "stays", "")
	carol := testclient.Join(t, url, "goes", "")
	if _, status := testclient.Dial(t, url, "comes", nil); status != http.StatusNotFound {
		t.Errorf("a room that is not configured: status %d", status)
	}

	apply(t, s, Config{Rooms: rooms("comes", "stays")})
	if code, reason := carol.Ended(); code != 1001 || reason != "room closed" {
		t.Errorf("the session of the removed room ended with %d %q", code, reason)
	}
	if _, status := testclient.Dial(t, url, "goes", nil); status != http.StatusNotFound {
		t.Errorf("the removed room: status %d", status)
	}
	testclient.Join(t, url, "comes", "")
	alice.Say("still here", bob)
}

func TestApplyChangesPassword(t *testing.T) {
	s := start(t, Config{Rooms: []Room{{Name: "demo", Password: "old"}, {Name: "other"}}})
	url := serve(t, s, Site{})
	member := testclient.Join(t, url, "demo", "old")
	alice, bob := testclient.Join(t, url, "other", ""), testclient.Join(t, url, "other", "")

	apply(t, s, Config{Rooms: []Room{{Name: "demo", Password: "new"}, {Name: "other"}}})
	if code, _ := member.Ended(); code != 1001 {
		t.Errorf("the session of the old password ended with %d", code)
	}
	if _, m := testclient.Hello(t, url, "demo", "old"); m.Code != "password" {
		t.Errorf("the old password is answered with %+v", m)
	}
	testclient.Join(t, url, "demo", "new")
	alice.Say("undisturbed", bob)
}

func TestApplyChangesIdentityAndLimits(t *testing.T) {
	s := start(t, Config{Rooms: rooms("demo")})
	url := serve(t, s, Site{})
	first, m := testclient.Hello(t, url, "demo", "")
	if m.Identity != "session" {
		t.Errorf("identity %q", m.Identity)
	}
	apply(t, s, Config{Rooms: []Room{{Name: "demo", Identity: IdentityServer}}, Limits: Limits{SeatsPerRoom: 2}})
	second, m := testclient.Hello(t, url, "demo", "")
	if m.Identity != "server" {
		t.Errorf("identity %q after the change", m.Identity)
	}
	if _, m := testclient.Hello(t, url, "demo", ""); m.Code != "room_full" {
		t.Errorf("the third session of two is answered with %+v", m)
	}
	first.Say("we were here before", second)
}

// What is refused is refused before anything is changed.
func TestApplyRefuses(t *testing.T) {
	s := start(t, Config{Rooms: rooms("demo")})
	url := serve(t, s, Site{})
	alice, bob := testclient.Join(t, url, "demo", ""), testclient.Join(t, url, "demo", "")
	for want, cfg := range map[string]Config{
		"the UDP address cannot change from 127.0.0.1:0 to 127.0.0.1:1": {UDP: "127.0.0.1:1"},
		"the UDP address cannot change from 127.0.0.1:0 to :3478":       {},
		"the list of public IPs cannot change from [] to [192.0.2.1]":   {UDP: loopback, PublicIPs: []string{"192.0.2.1"}},
		"the list of STUN URLs cannot change":                           {UDP: loopback, STUN: []string{"stun:192.0.2.1"}},
		"whether the relay is open cannot change":                       {UDP: loopback, RelayOpen: true},
		"relay URL":           {UDP: loopback, Relays: []string{"https://relay.example"}},
		"a room needs a name": {UDP: loopback, Rooms: rooms("")},
	} {
		cfg.Rooms = append(cfg.Rooms, Room{Name: "more"})
		if err := s.Apply(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	if _, status := testclient.Dial(t, url, "more", nil); status != http.StatusNotFound {
		t.Errorf("a room of a refused configuration: status %d", status)
	}
	alice.Say("nothing has changed", bob)
}

func TestValidate(t *testing.T) {
	for want, cfg := range map[string]Config{
		"a room needs a name":             {Rooms: rooms("")},
		`room "demo" is configured twice`: {Rooms: rooms("demo", "demo")},
		"names no host":                   {Relays: []string{"wss://"}},
		"is not of the form :port":        {UDP: "3478"},
		"is not a port":                   {UDP: ":http"},
		"is not an IP address":            {UDP: "localhost:3478"},
		"for all addresses write :3478":   {UDP: "[::]:3478"},
		`public IP "example.com"`:         {PublicIPs: []string{"example.com"}},
		`public IP "0.0.0.0"`:             {PublicIPs: []string{"0.0.0.0"}},
		`STUN URL "stun://example.com"`:   {STUN: []string{"stun://example.com"}},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
		if s, err := New(cfg); err == nil {
			t.Errorf("%+v: a server was made", cfg)
			s.Close(context.Background())
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
	full := Config{
		Rooms: rooms("a", "b"), Relays: []string{"ws://localhost:7777", "wss://relay.example"}, UDP: "[::1]:3478",
		PublicIPs: []string{"192.0.2.1", "2001:db8::1"}, STUN: []string{"stun:stun.example", "stun:[2001:db8::2]:3478"},
	}
	if err := full.Validate(); err != nil {
		t.Errorf("a full Config: %v", err)
	}
}

// A start that fails leaves nothing running, of which TestMain makes sure.
func TestNewFails(t *testing.T) {
	taken, err := net.ListenPacket("udp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = New(Config{UDP: taken.LocalAddr().String(), Rooms: rooms("demo")})
	if err == nil || !strings.Contains(err.Error(), taken.LocalAddr().String()) {
		t.Errorf("the error does not name the address: %v", err)
	}
}

func TestClose(t *testing.T) {
	free, err := net.ListenPacket("udp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	udp := free.LocalAddr().String()
	free.Close()
	// The second server shows that the port is free again.
	for range 2 {
		s := start(t, Config{UDP: udp, Rooms: rooms("demo")})
		url := serve(t, s, Site{})
		session := testclient.Join(t, url, "demo", "")
		closed := make(chan error, 1)
		go func() { closed <- s.Close(testclient.Within(t)) }()
		code, reason := session.Ended()
		if err := errors.Join(<-closed, s.Close(testclient.Within(t))); err != nil {
			t.Fatal(err)
		}
		if code != 1001 || reason != "server stopping" {
			t.Errorf("the session ended with %d %q", code, reason)
		}
		if _, status := testclient.Dial(t, url, "demo", nil); status < 400 {
			t.Errorf("a closed server: status %d", status)
		}
		if _, err := s.Handler(Site{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Handler of a closed server: %v", err)
		}
		if err := s.Apply(Config{UDP: udp}); !errors.Is(err, ErrClosed) {
			t.Errorf("Apply to a closed server: %v", err)
		}
	}
}

func TestCloseOfOneHandler(t *testing.T) {
	s := start(t, Config{Rooms: rooms("demo")})
	closing, err := s.Handler(Site{Path: "/closing"})
	if err != nil {
		t.Fatal(err)
	}
	if err := closing.Close(testclient.Within(t)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.handlers.open); n != 0 {
		t.Errorf("the server remembers %d handlers", n)
	}
	if _, err := s.Handler(Site{Path: "no/slash"}); err == nil {
		t.Error("a site with a bad path has a handler")
	}
}

// Relays hear goodbye when a server closes, also if a client does not answer.
func TestCloseSaysGoodbyeToRelays(t *testing.T) {
	other := serve(t, start(t, Config{Rooms: rooms("demo")}), Site{})
	topic := signaling.RootTopic(engine.AppRoom("demo"))
	listener, _, err := websocket.Dial(testclient.Within(t), testclient.WebSocketURL(other)+"/relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.CloseNow()
	filter := map[string]any{"kinds": []int{signaling.Kind(topic)}, "#x": []string{topic}}
	if err := wsjson.Write(testclient.Within(t), listener, []any{"REQ", "all", filter}); err != nil {
		t.Fatal(err)
	}

	s := start(t, Config{Rooms: rooms("demo"), Relays: []string{testclient.WebSocketURL(other) + "/relay"}})
	testclient.Eventually(t, "the relay is connected", func() bool {
		return slices.ContainsFunc(s.pool.Status(), func(r signaling.RelayStatus) bool {
			return r.State == signaling.Connected && r.URL == testclient.WebSocketURL(other)+"/relay"
		})
	})
	testclient.Join(t, serve(t, s, Site{}), "demo", "") // and reads nothing more
	if err := s.Close(testclient.Within(t)); err != nil {
		t.Fatal(err)
	}
	for {
		_, m, err := listener.Read(testclient.Within(t))
		if err != nil {
			t.Fatalf("no goodbye: %v", err)
		}
		if strings.HasPrefix(string(m), `["EVENT"`) && strings.Contains(string(m), `\"bye\":1`) {
			return
		}
	}
}

// TestStorage: sessions outlive the server in its storage folder, but not a
// change of the room's password.
func TestStorage(t *testing.T) {
	cfg := Config{Rooms: []Room{{Name: "demo"}, {Name: "A/b", Password: "old"}}, Storage: t.TempDir(), UDP: loopback}
	tokens := map[string]string{}
	run := func(f func(s *Server)) {
		s := start(t, cfg)
		f(s)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	resume := func(s *Server, name string) error {
		room, _ := s.node.Room(name)
		_, _, err := room.Resume(t.Context(), tokens[name], 0, engine.SeatConfig{Resume: time.Minute})
		return err
	}
	run(func(s *Server) {
		for _, name := range names(cfg.Rooms) {
			room, _ := s.node.Room(name)
			seat, _, err := room.Join(t.Context(), engine.SeatConfig{Resume: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			tokens[name] = seat.Token()
		}
	})
	run(func(s *Server) {
		for _, name := range names(cfg.Rooms) {
			if err := resume(s, name); err != nil {
				t.Errorf("room %s: %v", name, err)
			}
		}
	})
	cfg.Rooms[1].Password = "new"
	run(func(s *Server) {
		if err := resume(s, "demo"); err != nil {
			t.Error(err)
		}
		if err := resume(s, "A/b"); err != engine.ErrUnknownSeat {
			t.Errorf("with another password: %v", err)
		}
	})
	run(func(s *Server) {
		changed := cfg
		changed.Rooms = []Room{{Name: "demo", Password: "one"}}
		if err := s.Apply(changed); err != nil {
			t.Fatal(err)
		}
		if err := resume(s, "demo"); err != engine.ErrUnknownSeat {
			t.Errorf("after a change of the password: %v", err)
		}
		room, _ := s.node.Room("demo")
		if n := room.Stats().Seats; n != 0 {
			t.Errorf("%d seats wait", n)
		}
	})
}
