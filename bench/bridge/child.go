package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // for -profiles
	"os"
	"runtime"
	"syscall"

	"github.com/genosrtc/caddy-genosrtc"
)

const room = "bench"

// usage is what a child process has used since it began.
type usage struct {
	CPU     float64 // seconds, of user and system
	Mallocs uint64
}

// serve is a child process: a bridge behind an HTTP server on loopback, whose
// address it writes to its output. It ends with its input.
func serve(role string) error {
	var bridge http.Handler
	var err error
	switch role {
	case "ours":
		bridge, err = ourBridge()
	case "bare", "bare tuned":
		bridge, err = bareBridge(role == "bare tuned")
	default:
		err = fmt.Errorf("no such role")
	}
	if err != nil {
		return err
	}
	http.Handle("/", bridge)
	http.HandleFunc("GET /usage", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(used()) // the driver may be gone
	})
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(listener, nil)
}

func ourBridge() (http.Handler, error) {
	server, err := genosrtc.New(genosrtc.Config{
		Rooms:  []genosrtc.Room{{Name: room}},
		UDP:    "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	return server.Handler(genosrtc.Site{})
}

func used() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail for oneself
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return usage{CPU: seconds(r.Utime) + seconds(r.Stime), Mallocs: m.Mallocs}
}
