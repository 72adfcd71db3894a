package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/genosrtc/caddy-genosrtc"
)

// App runs the GenosRTC server that the handlers of all sites share: its
// WebRTC port, its embedded Nostr relay, and its connections to other relays.
// It is there, with its defaults, as soon as a site has a genosrtc handler; the
// rooms are those that the handlers name.
//
// The server outlives a reload of the configuration, with its rooms, links and
// sessions, as far as the new configuration still has them.
type App struct {
	// The URLs (wss://, ws://) of Nostr relays to use beside the embedded one,
	// so that browsers which use those relays find this server. Default: none.
	Relays []string `json:"relays,omitempty"`

	// Whether the embedded relay carries everybody's topics, rather than only
	// those of the rooms configured here. It cannot change on a reload.
	// Default: false.
	RelayOpen bool `json:"relay_open,omitempty"`

	// The UDP address for WebRTC: a port, on all addresses of the machine or on
	// the one given before the colon. It cannot change on a reload.
	// Default: `:3478`.
	UDP string `json:"udp,omitempty"`

	// The network interfaces at whose addresses the UDP port is, where its address
	// has no host: names, or networks in CIDR notation. `0.0.0.0/0` is IPv4 only. They
	// cannot change on a reload. Default: all.
	Interfaces []string `json:"interfaces,omitempty"`

	// The IP addresses at which browsers reach the UDP port beside the
	// machine's own, for example those that a cloud provider maps to it. They
	// cannot change on a reload. Default: none.
	PublicIPs []string `json:"public_ips,omitempty"`

	// The URLs (stun:) of STUN servers, for a machine whose public IP address
	// is not known. One that cannot be reached delays every link. They cannot
	// change on a reload. Default: none.
	STUN []string `json:"stun,omitempty"`

	// The STUN and TURN server for clients, on the UDP port and on TCP at the same
	// addresses. Whether there is one, and its ports, cannot change on a reload.
	// Default: there is none.
	TURN *TURN `json:"turn,omitempty"`

	// The data directory of the server: the journals of its rooms, and what makes
	// sessions outlive a restart. By it a reload recognises the server that runs.
	// Default: the folder `genosrtc` in Caddy's data directory.
	Storage string `json:"storage,omitempty"`

	claim *claim
	key   string // of the node in nodes; empty until it is acquired
	node  *node

	released  sync.Once
	releasing sync.WaitGroup
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "genosrtc",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision reads the settings and finds the node. It starts nothing: that is
// for Start, when the whole configuration is known to be good.
func (a *App) Provision(ctx caddy.Context) error {
	cfg, err := a.config(caddy.NewReplacer())
	if err != nil {
		return err
	}
	cfg.Logger = ctx.Slogger()

	storage, err := expand(caddy.NewReplacer(), "storage", a.Storage)
	if err != nil {
		return err
	}
	if storage == "" {
		storage = filepath.Join(caddy.AppDataDir(), "genosrtc")
	}
	if storage, err = filepath.Abs(storage); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	cfg.Storage = storage
	a.claim = newClaim(cfg)
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	if err := events.(*caddyevents.App).On("stopping", stopping{a}); err != nil {
		return err
	}
	if a.claim.emit, err = emitter(ctx, events.(*caddyevents.App)); err != nil {
		return err
	}
	found, _, err := nodes.LoadOrNew(storage, newNode)
	if err != nil {
		return err
	}
	a.key, a.node = storage, found.(*node)
	return a.node.register(ctx.GetMetricsRegistry())
}

// config is the configuration of the server but for its rooms.
func (a *App) config(repl *caddy.Replacer) (cfg genosrtc.Config, err error) {
	cfg.RelayOpen = a.RelayOpen
	if cfg.Relays, err = expandAll(repl, "relays", a.Relays); err != nil {
		return cfg, err
	}
	if cfg.UDP, err = expand(repl, "udp", a.UDP); err != nil {
		return cfg, err
	}
	if cfg.Interfaces, err = expandAll(repl, "interfaces", a.Interfaces); err != nil {
		return cfg, err
	}
	if cfg.PublicIPs, err = expandAll(repl, "public_ip", a.PublicIPs); err != nil {
		return cfg, err
	}
	if cfg.STUN, err = expandAll(repl, "stun", a.STUN); err != nil || a.TURN == nil {
		return cfg, err
	}
	cfg.TURN, err = a.TURN.config(repl)
	return cfg, err
}

// Validate checks the settings.
func (a *App) Validate() error { return a.claim.config.Validate() }

// Start puts the configuration into effect.
func (a *App) Start() error {
	if cfg := a.claim.config; len(cfg.Rooms)+len(cfg.OnDemand) == 0 && !cfg.RelayOpen {
		cfg.Logger.Warn("no room is configured: the relay carries nothing, and nobody can join")
	}
	return a.node.hold(a.claim)
}

// Stop begins to take the configuration out of effect. On a reload the server
// goes on by the new one, else it is closed. It does not wait: the HTTP app may
// be stopped after this one, and takes its grace period for that. Cleanup waits.
func (a *App) Stop() error {
	a.released.Do(func() {
		a.releasing.Go(func() { a.node.release(a.claim) })
	})
	return nil
}

// Cleanup gives back what Provision acquired. Stop was not called where the
// start of the configuration failed.
func (a *App) Cleanup() error {
	if a.key == "" {
		return nil
	}
	_ = a.Stop()
	a.releasing.Wait()
	_, err := nodes.Delete(a.key)
	a.key = ""
	return err
}

// stopping handles Caddy's event of that name, which comes before any app is
// stopped: in any order, and the HTTP app may take as long as its grace period.
// Sessions are told at once.
type stopping struct{ app *App }

// Handle implements caddyevents.Handler.
func (s stopping) Handle(_ context.Context, e caddy.Event) error {
	if e.Origin() != nil { // another module's, of the same name
		return nil
	}
	return s.app.Stop()
}
