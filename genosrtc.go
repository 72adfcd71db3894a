// Package genosrtc makes a Go program a peer in GenosRTC rooms, the
// peer-to-peer rooms of the browser database GenosDB. A [Server] links with the
// browsers of its rooms over WebRTC, takes sessions of WebSocket clients, which
// browsers see as peers like any other, and has a Nostr relay by which all of
// them find each other.
//
//	server, err := genosrtc.New(genosrtc.Config{
//		Rooms: []genosrtc.Room{{Name: "my-app"}},
//	})
//	...
//	handler, err := server.Handler(genosrtc.Site{})
//	...
//	http.Handle("/genosrtc/", handler)
//
// The rooms, the relay and the protocol of sessions are described in
// docs/gateway.md and docs/protocol.md. For Caddy, see package caddymodule.
package genosrtc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
	"github.com/genosrtc/caddy-genosrtc/turn"
)

const (
	// closeTime bounds the closing of what Apply takes away, and of what New
	// has to take back.
	closeTime = 5 * time.Second
	// farewellTime is how long the clients of sessions have to answer when the
	// server closes.
	farewellTime = time.Second
)

// Server is a running GenosRTC server. Its methods may be called from several
// goroutines.
type Server struct {
	log       *slog.Logger
	transport *rtc.Transport
	turn      *turn.Server // nil: there is none
	stunURLs  []string     // of turn
	turnURLs  []string     // of turn
	relay     *relay.Relay
	pool      *signaling.Pool
	store     *store.Store // nil: nothing is kept
	node      *engine.Node

	// changing lets one Apply or Close work at a time. They wait for the
	// network while they hold it; nothing else takes it.
	changing sync.Mutex
	config   Config
	closed   bool
	demanded demanded

	unused   watcher
	health   watcher
	events   *events // nil: nobody wants them
	handlers handlers
}

// New starts a server: it opens the UDP port, goes to the relays and joins the
// rooms. It does not wait for the network. An error leaves nothing running.
// The caller closes the server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{log: cfg.Logger, demanded: make(demanded), events: newEvents(cfg.OnEvent)}
	if err := s.start(cfg); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Server) start(cfg Config) (err error) {
	if cfg.Storage != "" {
		if err := os.MkdirAll(cfg.Storage, 0o700); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
		s.store, err = store.Open(filepath.Join(cfg.Storage, "genosrtc.db"), cfg.Logger.With("part", "store"))
		if err != nil {
			return err
		}
	}
	s.transport, err = rtc.New(rtc.Config{
		UDP: cfg.UDP, Interfaces: cfg.Interfaces, PublicIPs: cfg.PublicIPs, STUN: cfg.STUN,
		Logger: cfg.Logger.With("part", "rtc"),
	})
	if err != nil {
		return err
	}
	if err := s.startTURN(cfg); err != nil {
		return err
	}
	s.relay = relay.New(relay.Config{Open: cfg.RelayOpen, Logger: cfg.Logger.With("part", "relay")})
	s.pool, err = signaling.NewPool(signaling.Config{
		Relays: cfg.Relays, Local: s.relay,
		Logger: cfg.Logger.With("part", "signaling"),
	})
	if err != nil {
		return fmt.Errorf("start signaling: %w", err)
	}
	s.node = engine.New(engine.Config{
		Signaling: s.pool, Transport: s.transport, Limits: cfg.Limits, Presence: s.events.presence,
		Dir: cfg.Storage, Store: s.store,
		Logger: cfg.Logger.With("part", "engine"),
	})
	s.config = cfg
	s.config.Rooms = nil // none is open yet
	if err := s.apply(cfg); err != nil {
		return err
	}
	s.reopen()
	s.unused.start(s.watchUnused)
	s.health.start(s.watchHealth)
	var udp []string
	for _, addr := range s.transport.Addrs() {
		udp = append(udp, addr.String())
	}
	s.log.Info("GenosRTC runs", "udp", udp, "rooms", names(cfg.Rooms), "relays", len(cfg.Relays), "turn", s.turnURLs)
	return nil
}

// Close stops the server: sessions end with 1001, the rooms say goodbye to
// their peers, and the relays are closed last, so that the goodbyes get out. It
// waits for all of that, a second at most for clients that do not answer, or
// hurries when ctx ends, whose error it then returns. It is idempotent.
func (s *Server) Close(ctx context.Context) error {
	s.unused.close()
	s.health.close()
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	// Clients that do not answer are cut, so that time is left for the goodbyes.
	farewell, cancel := context.WithTimeout(ctx, farewellTime)
	defer cancel()
	if err := s.handlers.close(farewell); err != nil {
		s.log.Debug("sessions were cut", "error", err)
	}
	errs := []error{ctx.Err()}
	if s.node != nil {
		errs = append(errs, s.node.Close(ctx))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close(ctx))
	}
	if s.relay != nil {
		errs = append(errs, s.relay.Close(ctx))
	}
	if s.turn != nil {
		errs = append(errs, s.turn.Close())
	}
	if s.transport != nil {
		errs = append(errs, s.transport.Close())
	}
	s.events.close(ctx)
	return errors.Join(errs...)
}
