package caddymodule

import (
	"fmt"
	"net/http"
	"time"

	"github.com/genosrtc/caddy-genosrtc"
)

// whyDocument is what is known of the way to a peer. Times are left out for what did
// not happen, and are of the last try.
type whyDocument struct {
	Peer       string         `json:"peer"`
	Cause      string         `json:"cause"`
	Advice     string         `json:"advice"`
	Type       string         `json:"type,omitempty"`
	Seen       time.Time      `json:"seen,omitzero"`
	Offered    time.Time      `json:"offered,omitzero"` // by the peer
	Dialed     time.Time      `json:"dialed,omitzero"`  // by us
	Answered   time.Time      `json:"answered,omitzero"`
	Opened     time.Time      `json:"opened,omitzero"`
	Ended      time.Time      `json:"ended,omitzero"`
	Sealed     time.Time      `json:"sealed,omitzero"` // with another password
	Relay      string         `json:"relay,omitempty"`
	Candidates map[string]int `json:"candidates,omitempty"` // of the peer, by type
	Stage      string         `json:"stage,omitempty"`      // that the last try had come to: ice, dtls, channel, open
	Reason     string         `json:"reason,omitempty"`     // why it ended
	Mixed      bool           `json:"mixed,omitempty"`
	Down       []string       `json:"relays_down,omitempty"`
}

func getWhy(s *genosrtc.Server, r *http.Request) (any, error) {
	peer := r.URL.Query().Get("peer")
	if peer == "" {
		return nil, fmt.Errorf("%w: peer is missing", errRequest)
	}
	w, err := s.Why(r.PathValue("room"), peer)
	if err != nil {
		return nil, err
	}
	return whyDocument{
		Peer: peer, Cause: string(w.Cause), Advice: w.Advice, Type: w.Type,
		Seen: w.Seen, Offered: w.Offered, Dialed: w.Dialed, Answered: w.Answered, Opened: w.Opened, Ended: w.Ended, Sealed: w.Sealed,
		Relay: w.Relay, Candidates: w.Candidates, Stage: w.Stage, Reason: w.Reason, Mixed: w.Mixed, Down: w.Down,
	}, nil
}
