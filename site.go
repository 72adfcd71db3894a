package genosrtc

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// Site is a place where the server is served over HTTP. A server may have
// several, for example for two domains with rooms of their own.
type Site struct {
	// Path is the prefix of all resources, without a slash at its end. Default
	// "/genosrtc".
	Path string
	// ClientIP returns the address of a request's client, for limits. Default:
	// the host of RemoteAddr, which behind a proxy is the proxy's.
	ClientIP func(*http.Request) string
	// Settings are those that Handler.Configure can change later.
	Settings
}

// Settings of a site are the rooms that it serves, who may enter them, the origins
// whose pages may, and what clients can make it hold.
type Settings = handler.Settings

// Auth is who may enter the rooms of a site.
type Auth = handler.Auth

// Monitor is the monitor page of a site.
type Monitor = handler.Monitor

// Handler is the http.Handler of a site. It answers all requests under the
// site's path (docs/gateway.md), and others with 404.
type Handler struct {
	*handler.Handler
	server *Server
}

// Validate tells what is wrong with the site.
func (site Site) Validate() error {
	// A handler runs nothing by itself: making one is the check.
	_, err := handler.New(handler.Config{
		Engine: engine.New(engine.Config{}), Path: site.Path, Settings: site.Settings,
	})
	return err
}

// Handler makes the handler of a site. It fails if the site is not valid, or
// the server is closed.
func (s *Server) Handler(site Site) (*Handler, error) {
	var ice handler.ICEServers
	if s.turn != nil {
		ice = s.iceServers
	}
	made, err := handler.New(handler.Config{
		Engine:     s.node,
		OpenRoom:   s.demand,
		WebRTC:     s.transport,
		ICEServers: ice,
		Relay:      handler.NewRelay(s.relay, handler.RelayConfig{ClientIP: site.ClientIP, Version: version()}),
		Relays:     s.pool.Status,
		Path:       site.Path,
		ClientIP:   site.ClientIP,
		Refused:    s.events.refused,
		Logger:     s.log.With("part", "handler"),
		Settings:   site.Settings,
	})
	if err != nil {
		return nil, err
	}
	h := &Handler{made, s}
	if !s.handlers.add(h) {
		return nil, ErrClosed
	}
	return h, nil
}

// Close ends the site's sessions with 1001, takes no new ones, and waits, or
// cuts their connections when ctx ends. Closing the server does so too. It is
// idempotent.
func (h *Handler) Close(ctx context.Context) error {
	err := h.Handler.Close(ctx)
	h.server.handlers.remove(h)
	return err
}

// handlers are those of a server that are open.
type handlers struct {
	mu     sync.Mutex
	open   map[*Handler]struct{}
	past   handler.Stats // of those that were closed
	closed bool
	drains *time.Time // nil: not; else when the last session is to end
}

func (hs *handlers) add(h *Handler) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.closed {
		return false
	}
	if hs.open == nil {
		hs.open = make(map[*Handler]struct{})
	}
	hs.open[h] = struct{}{}
	if hs.drains != nil {
		h.Drain(time.Until(*hs.drains))
	}
	return true
}

// drain drains all handlers, or with nil no longer.
func (hs *handlers) drain(over *time.Duration) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.drains = nil
	if over != nil {
		until := time.Now().Add(*over)
		hs.drains = &until
	}
	for h := range hs.open {
		if over != nil {
			h.Drain(*over)
		} else {
			h.Undrain()
		}
	}
}

func (hs *handlers) isDraining() bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.drains != nil
}

func (hs *handlers) remove(h *Handler) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if _, ok := hs.open[h]; ok {
		delete(hs.open, h)
		hs.past.Add(h.Stats())
	}
}

// stats are those of all handlers, the closed ones' totals included.
func (hs *handlers) stats() (sum handler.Stats) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	sum.Add(hs.past)
	for h := range hs.open {
		sum.Add(h.Stats())
	}
	return sum
}

// close closes all handlers, at once, and lets none be added.
func (hs *handlers) close(ctx context.Context) error {
	hs.mu.Lock()
	open := hs.open
	hs.open, hs.closed = nil, true
	hs.mu.Unlock()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for h := range open {
		wg.Go(func() {
			if err := h.Handler.Close(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
