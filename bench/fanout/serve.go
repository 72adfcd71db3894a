package main

import (
	"fmt"
	"log/slog"
	"net/http"
	_ "net/http/pprof" // for -profile

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// serve is a child: a server on a port of loopback, until it is stopped.
func serve(role, port string) error {
	switch role {
	case "hub":
		http.Handle("/", newHub())
	case "ours":
		ours, err := genosrtc.New(genosrtc.Config{
			Rooms: []genosrtc.Room{{Name: room}}, UDP: "127.0.0.1:0",
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return fmt.Errorf("making our server: %w", err)
		}
		h, err := ours.Handler(genosrtc.Site{Settings: genosrtc.Settings{Limits: handler.Limits{SessionsPerAddress: 1 << 20}}})
		if err != nil {
			return fmt.Errorf("making our server: %w", err)
		}
		http.Handle("/", h)
	default:
		return fmt.Errorf("no server %q", role)
	}
	return http.ListenAndServe("127.0.0.1:"+port, nil)
}
