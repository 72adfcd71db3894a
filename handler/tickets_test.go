package handler

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Tickets are good once, for ticketTime, and bounded: an address's own oldest
// goes for its newest, and of all together no more are given out.
func TestTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ts tickets
		room := new(engine.Room)
		add := func(address string) string {
			t.Helper()
			id, ok := ts.add(room, credentials{token: address}, address)
			if !ok {
				t.Fatalf("no ticket for %s", address)
			}
			return id
		}
		id := add("a")
		if got := ts.use(id); got == nil || got.room != room || got.shown.token != "a" {
			t.Errorf("%+v", got)
		}
		if ts.use(id) != nil || ts.use("") != nil {
			t.Error("a ticket is good twice")
		}
		in, out := add("a"), add("b")
		time.Sleep(ticketTime - time.Nanosecond)
		if ts.use(in) == nil {
			t.Error("in time, and refused")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if ts.use(out) != nil {
			t.Error("too late, and taken")
		}

		first, other := add("a"), add("b")
		for range maxTicketsPerAddress {
			add("a")
		}
		if ts.use(first) != nil || ts.use(other) == nil {
			t.Error("not the address's own oldest was forgotten")
		}
		for i := 0; len(ts.byID) < maxTickets; i++ {
			add("address " + string(rune(i)))
		}
		if _, ok := ts.add(room, credentials{}, "one more"); ok {
			t.Error("one more than there can be")
		}
		add("a") // in the place of its own
		time.Sleep(ticketTime)
		synctest.Wait()
		if len(ts.byID)+len(ts.byAddress) != 0 {
			t.Errorf("%d tickets of %d addresses are left", len(ts.byID), len(ts.byAddress))
		}
	})
}

func TestTicketRequests(t *testing.T) {
	s := serve(t, Config{})
	url := s.server.URL + "/genosrtc/rooms/demo/tickets"
	request(t, http.MethodGet, url, nil).want(http.StatusMethodNotAllowed)
	request(t, http.MethodPost, s.server.URL+"/genosrtc/rooms/nowhere/tickets", nil).want(http.StatusNotFound)
	request(t, http.MethodPost, url, http.Header{"Origin": {"https://elsewhere.example"}}).want(http.StatusForbidden)
	s.h.Configure(Settings{Origins: []string{"https://app.example"}})
	preflight := request(t, http.MethodOptions, url, http.Header{
		"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
	})
	if preflight.status != http.StatusNoContent || preflight.header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("preflight: %d %v", preflight.status, preflight.header)
	}
	a := request(t, http.MethodPost, url, http.Header{"Origin": {"https://app.example"}})
	var answer struct {
		Ticket  string
		Expires int
	}
	if err := json.Unmarshal(a.body, &answer); err != nil || a.status != http.StatusCreated || answer.Ticket == "" || answer.Expires != 30 {
		t.Errorf("%d %s: %v", a.status, a.body, err)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("it may be cached")
	}
}

// A session's rate is that of the settings at the time.
func TestPace(t *testing.T) {
	s := serve(t, Config{})
	synctest.Test(t, func(t *testing.T) {
		pace, start := s.h.pace(), time.Now()
		took := func(n int, want time.Duration) {
			t.Helper()
			for range n {
				pace(t.Context())
			}
			if d := time.Since(start).Round(time.Millisecond); d != want {
				t.Errorf("%d messages at %v, want %v", n, d, want)
			}
			start = time.Now()
		}
		took(1000, 0)
		s.h.Configure(Settings{Limits: Limits{Rate: 10}})
		took(10, 0)
		took(10, time.Second)
		s.h.Configure(Settings{Limits: Limits{Rate: 100}})
		took(100, time.Second)
		s.h.Configure(Settings{})
		took(1000, 0)
	})
}
