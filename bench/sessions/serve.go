package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	_ "net/http/pprof" // for -heap
	"os"
	"runtime"
	"runtime/debug"

	"github.com/genosrtc/caddy-genosrtc"
)

func roomName(i int) string { return fmt.Sprintf("bench-%d", i) }

// inUse is what the server has in use. Memory is in bytes.
type inUse struct {
	Heap, Stacks uint64
	Goroutines   int
}

// serve is the child: a server on an address, until it is stopped.
func serve(rooms int, address string) error {
	cfg := genosrtc.Config{
		UDP:    "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for i := range rooms {
		cfg.Rooms = append(cfg.Rooms, genosrtc.Room{Name: roomName(i)})
	}
	server, err := genosrtc.New(cfg)
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	h, err := server.Handler(genosrtc.Site{})
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	http.Handle("/", h)
	http.HandleFunc("GET /usage", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory() // collects garbage too
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		// An error is the client's going away.
		_ = json.NewEncoder(w).Encode(inUse{m.HeapAlloc, m.StackInuse, runtime.NumGoroutine()})
	})
	return http.ListenAndServe(address, nil)
}
