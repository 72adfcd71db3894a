package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// What a POST sends is held to the channel's rules, its rate by address.
func TestPostedRules(t *testing.T) {
	s := serve(t, Config{ClientIP: func(r *http.Request) string { return r.Header.Get("X-Test-Address") }})
	if err := s.room.SetRules([]engine.Rule{
		{Channel: "small", MaxSize: 5},
		{Channel: "number", Schema: []byte(`{"type":"number"}`)},
		{Channel: "slow", Rate: engine.Rate{Messages: 1, Per: 3600e9}},
	}); err != nil {
		t.Fatal(err)
	}
	post := func(channel, body, address string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.server.URL+"/genosrtc/rooms/demo/channels/"+channel, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Test-Address": {address}}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	for _, test := range []struct {
		channel, body, address string
		want                   int
	}{
		{"small", "12345", "192.0.2.1", 202}, {"small", "123456", "192.0.2.1", 413},
		{"number", "1", "192.0.2.1", 202}, {"number", `"1"`, "192.0.2.1", 422},
		{"slow", "1", "192.0.2.1", 202}, {"slow", "1", "192.0.2.1", 429}, {"slow", "1", "192.0.2.2", 202},
	} {
		res := post(test.channel, test.body, test.address)
		if res.StatusCode != test.want || test.want == 429 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%+v: %d %v", test, res.StatusCode, res.Header)
		}
	}
	if n := s.h.Stats().Refused["rule"]; n != 3 {
		t.Errorf("%d refusals are counted", n)
	}
}
