// Package ownrelay runs this project's relay for a benchmark: the endpoint that
// the server mounts, in a process that does nothing else.
package ownrelay

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

// Database is the one whose rooms are carried.
const Database = "bench"

// Path is where the relay is served, as in the server. StatsPath has its
// counters (relay.Stats) as JSON.
const (
	Path      = "/genosrtc/relay"
	StatsPath = "/stats"
)

// New makes the relay and its endpoint. close ends its connections.
func New(limits relay.Limits) (h http.Handler, close func()) {
	r := relay.New(relay.Config{Limits: limits, Logger: slog.New(slog.DiscardHandler)})
	r.SetRooms([]string{Database})
	mux := http.NewServeMux()
	mux.Handle(Path, handler.NewRelay(r, handler.RelayConfig{}))
	mux.HandleFunc(StatsPath, func(w http.ResponseWriter, _ *http.Request) {
		// An error is the client's going away.
		_ = json.NewEncoder(w).Encode(r.Stats())
	})
	// Without a deadline there is no error.
	return mux, func() { _ = r.Close(context.Background()) }
}

// Serve runs the relay on an address, until it fails.
func Serve(address string, limits relay.Limits) error {
	h, stop := New(limits)
	defer stop()
	return fmt.Errorf("serving our relay: %w", http.ListenAndServe(address, h))
}
