package handler

import (
	_ "embed"
	"html/template"
	"net/http"
	"strconv"

	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

//go:embed relay_status.html
var relayStatusHTML string

var relayStatusPage = template.Must(template.New("relay").Funcs(template.FuncMap{"number": thousands}).Parse(relayStatusHTML))

// relayStatus is what the page shows: numbers, and neither topics nor addresses.
type relayStatus struct {
	Name, Description, Version string
	URL                        string // of the WebSocket
	Stats                      relay.Stats
	Verdicts                   []relayVerdict
}

// relayVerdict is a row of the table of events.
type relayVerdict struct {
	Name, Meaning string
	Count         uint64
	Percent       int // of all events
}

// serveStatus shows a person that the relay is here, and how it is doing.
func (h *relayHandler) serveStatus(w http.ResponseWriter, r *http.Request) {
	stats := h.relay.Stats()
	scheme := "ws://"
	if r.TLS != nil {
		scheme = "wss://"
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "no-cache")
	// An error is the client's going away.
	_ = relayStatusPage.Execute(w, relayStatus{
		Name:        h.cfg.Name,
		Description: h.cfg.Description,
		Version:     h.cfg.Version,
		URL:         scheme + r.Host + r.URL.EscapedPath(),
		Stats:       stats,
		Verdicts:    relayVerdicts(stats.Events),
	})
}

func relayVerdicts(s relay.EventStats) []relayVerdict {
	list := []relayVerdict{
		{Name: "accepted", Meaning: "signature checked, passed on", Count: s.Accepted},
		{Name: "from this server", Meaning: "its own peers, passed on", Count: s.Local},
		{Name: "duplicate", Meaning: "was here before", Count: s.Duplicate},
		{Name: "blocked", Meaning: "of a room or kind not carried here", Count: s.Blocked},
		{Name: "rate-limited", Meaning: "too many at once", Count: s.RateLimited},
		{Name: "invalid", Meaning: "wrong form, time or id", Count: s.Invalid},
		{Name: "forged", Meaning: "wrong signature", Count: s.Forged},
	}
	var all uint64
	for _, v := range list {
		all += v.Count
	}
	for i := range list {
		if all > 0 {
			list[i].Percent = int(100 * list[i].Count / all)
		}
	}
	return list
}

// thousands writes a count with its thousands apart.
func thousands(n any) string {
	var digits string
	switch n := n.(type) {
	case int:
		digits = strconv.Itoa(n)
	case uint64:
		digits = strconv.FormatUint(n, 10)
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}
