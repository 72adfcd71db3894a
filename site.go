package genosrtc

import (
	"context"
	"errors"
	"net/http"
	"sync"

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
		ICEServers: ice,
		WebRTC:     s.transport,
		Relay:      handler.NewRelay(s.relay, handler.RelayConfig{ClientIP: site.ClientIP, Version: version()}),
		Path:       site.Path,
		ClientIP:   site.ClientIP,
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
	h.server.handlers.remove(h)
	return h.Handler.Close(ctx)
}

// handlers are those of a server that are open.
type handlers struct {
	mu     sync.Mutex
	open   map[*Handler]struct{}
	closed bool
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
	return true
}

func (hs *handlers) remove(h *Handler) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.open, h)
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
