package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// demanding serves rooms on demand, and counts those that were opened.
func demanding(t *testing.T, settings Settings) (s *site, opened func() int) {
	t.Helper()
	var node *engine.Node
	rooms := make(chan string, 1000)
	s = serve(t, Config{Settings: settings, OpenRoom: func(name string) (*engine.Room, error) {
		rooms <- name
		return node.Open(engine.RoomConfig{Name: name})
	}})
	node = s.node
	return s, func() int { return len(rooms) }
}

// A room is opened for nobody whose credentials are not good.
func TestRoomsAreOpenedForThoseWhoMayEnter(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: []byte(strings.Repeat("k", 32)), Audience: "test"}
	verifier, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, opened := demanding(t, Settings{Rooms: func(string) bool { return true }, Auth: Auth{Tokens: verifier}})
	url := s.server.URL + "/genosrtc/rooms/new"
	wrong := http.Header{"Authorization": {"Bearer x.y.z"}}
	for _, path := range []string{"", "/events"} {
		get(t, url+path, nil).want(http.StatusUnauthorized)
		get(t, url+path, wrong).want(http.StatusUnauthorized)
	}
	request(t, http.MethodPost, url+"/tickets", wrong).want(http.StatusUnauthorized)
	request(t, http.MethodPost, url+"/channels/chat", wrong).want(http.StatusUnauthorized)
	get(t, url+"/ws", nil).want(http.StatusUpgradeRequired)
	if n := opened(); n != 0 {
		t.Errorf("%d rooms were opened for strangers", n)
	}
}

// An address opens so many rooms and no more.
func TestRoomsOfOneAddress(t *testing.T) {
	s, opened := demanding(t, Settings{Rooms: func(string) bool { return true }})
	refused := 0
	for i := range openBurst + 5 {
		if a := get(t, fmt.Sprintf("%s/genosrtc/rooms/r%d", s.server.URL, i), nil); a.status == http.StatusTooManyRequests {
			refused++
		}
	}
	if n := opened(); n < openBurst || refused == 0 || n+refused != openBurst+5 {
		t.Errorf("%d rooms were opened, %d refused", n, refused)
	}
}

// Any page could act for whoever is logged in.
func TestAnyOriginWithTheServersOwnAuthentication(t *testing.T) {
	h := &Handler{held: make(map[*held]struct{})}
	err := h.Configure(Settings{Origins: []string{"*"}, Auth: Auth{User: func(*http.Request) string { return "ada" }}})
	if err == nil {
		t.Error("it is taken")
	}
}

func TestTooLongCredentials(t *testing.T) {
	s := serve(t, Config{})
	long := strings.Repeat("x", session.MaxCredential+1)
	url := s.server.URL + "/genosrtc/rooms/demo"
	get(t, url, http.Header{"Authorization": {"Bearer " + long}}).want(http.StatusUnauthorized)
}

// A ticket is for one request, and not for the next ticket.
func TestTicketForATicket(t *testing.T) {
	s := serve(t, Config{})
	url := s.server.URL + "/genosrtc/rooms/demo/tickets"
	var got struct{ Ticket string }
	if err := json.Unmarshal([]byte(request(t, http.MethodPost, url, nil).body), &got); err != nil || got.Ticket == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	request(t, http.MethodPost, url+"?ticket="+got.Ticket, nil).want(http.StatusBadRequest)
}
