package main

import (
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

//go:embed trystero.mjs
var trysteroScript []byte

// trystero measures two processes of it. Its packages are in a folder's
// node_modules; our relay, open to everybody, brings the two together.
func trystero(folder string, bytes int) (rounds.Values, error) {
	// A module finds its packages by where it lies.
	script, err := os.CreateTemp(folder, "*.mjs")
	if err != nil {
		return nil, fmt.Errorf("put a script beside trystero's packages: %w", err)
	}
	defer os.Remove(script.Name())
	if _, err := script.Write(trysteroScript); err != nil {
		return nil, err
	}
	if err := script.Close(); err != nil {
		return nil, err
	}
	r := relay.New(relay.Config{Open: true, Logger: slog.New(slog.DiscardHandler)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler.NewRelay(r, handler.RelayConfig{})}
	go server.Serve(listener)
	defer server.Close()
	url := "ws://" + listener.Addr().String()
	peer := func(role string) *exec.Cmd {
		return exec.Command("node", script.Name(), role, url, strconv.Itoa(bytes))
	}
	return pair(peer("send"), peer("receive"), bytes)
}
