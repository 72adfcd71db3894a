package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/genosrtc/caddy-genosrtc"
)

// nodes are the nodes of this process, by data directory.
var nodes = caddy.NewUsagePool()

const (
	// closeTime bounds the closing of the server. Where the network works it
	// takes a fraction of a second.
	closeTime = 5 * time.Second
	// farewellTime is how long clients have to answer when a reload takes their
	// site away. Then they are cut.
	farewellTime = time.Second
)

// node is the server of a data directory, which outlives the configurations
// that use it.
//
// On a reload Caddy starts the new configuration before it stops the old one,
// and if the start fails, the old one must be as it was. So each configuration
// holds a claim on the node from its start to its stop, and of two claims the
// older one decides: what it has stays exactly as it is, and the newer one only
// adds rooms and sites. Once the older claim is released, the newer one takes
// full effect.
type node struct {
	logs logs

	// mu lets one claim at a time be held or released, and is held while the
	// server changes, which may take closeTime. Requests do not take it.
	mu     sync.Mutex
	server *genosrtc.Server // nil: no claim is held
	claims []*claim         // oldest first

	// emit is that of the claim in force.
	emit atomic.Pointer[func(genosrtc.Event)]
	// running is server, for who only looks.
	running atomic.Pointer[genosrtc.Server]
}

func newNode() (caddy.Destructor, error) { return new(node), nil }

// Destruct implements caddy.Destructor. The last claim was released before.
func (*node) Destruct() error { return nil }

// hold puts a claim into effect. An error means that it changed nothing.
func (n *node) hold(c *claim) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.claims) == 0 {
		n.logs.use(c.config.Logger)
		n.emit.Store(&c.emit)
		cfg := c.config
		cfg.Logger = n.logs.logger()
		cfg.OnEvent = func(e genosrtc.Event) { (*n.emit.Load())(e) }
		server, err := genosrtc.New(cfg)
		if err != nil {
			return err
		}
		n.server = server
		n.running.Store(server)
	} else if err := n.server.Check(c.config); err != nil {
		return err
	}
	n.claims = append(n.claims, c)
	err := n.server.Apply(n.config())
	if err == nil {
		err = n.open(c)
	}
	if err != nil {
		n.drop(c)
		return err
	}
	c.settle()
	return nil
}

// release takes a claim out of effect, if it is held, and closes what no other
// claim has, the server last. It is idempotent.
func (n *node) release(c *claim) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.settle()
	if slices.Contains(n.claims, c) {
		n.drop(c)
	}
}

func (n *node) drop(c *claim) {
	n.claims = slices.DeleteFunc(n.claims, func(other *claim) bool { return other == c })
	if len(n.claims) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		n.running.Store(nil)
		if err := n.server.Close(ctx); err != nil {
			c.config.Logger.Warn("the server was closed in a hurry", "error", err)
		}
		n.server = nil
		return
	}
	log := n.claims[0].config.Logger
	n.logs.use(log)
	n.emit.Store(&n.claims[0].emit)
	n.close(c.sites)
	// What can be wrong was found when the claims were held.
	if err := n.server.Apply(n.config()); err != nil {
		log.Error("the configuration is not fully in effect", "error", err)
	}
	for _, other := range n.claims {
		for _, s := range other.sites {
			for _, h := range s.handlers() {
				if n.user(h) != s {
					continue
				}
				if err := h.Configure(s.Settings); err != nil {
					log.Error("the site's settings are not in effect", "path", s.path, "error", err)
				}
			}
		}
	}
}

// close closes the handlers of sites that no claim has, all at once.
func (n *node) close(sites []*site) {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	var closing sync.WaitGroup
	for _, s := range sites {
		for _, h := range s.handlers() {
			if n.user(h) == nil {
				closing.Go(func() {
					// An error says that clients were cut.
					_ = h.Close(ctx)
				})
			}
		}
	}
	closing.Wait()
}

// config is the configuration in effect: the oldest claim's, and the rooms that
// only newer ones have.
func (n *node) config() genosrtc.Config {
	cfg := n.claims[0].config
	cfg.Rooms = slices.Clone(cfg.Rooms)
	cfg.OnDemand = slices.Clone(cfg.OnDemand)
	for _, c := range n.claims[1:] {
		cfg.OnDemand = append(cfg.OnDemand, c.config.OnDemand...)
		for _, room := range c.config.Rooms {
			if !slices.ContainsFunc(cfg.Rooms, named(room.Name)) {
				cfg.Rooms = append(cfg.Rooms, room)
			}
		}
	}
	return cfg
}

// open gives each site of a claim, the newest, its handler: that of a site of
// an older claim, with its sessions, or a new one. Handlers that are left over
// are kept by sites that they have something in common with: of sites that are
// alike, nobody can tell which one stayed.
func (n *node) open(c *claim) error {
	for _, s := range c.sites {
		if s.handler = n.inherit(c, s); s.handler != nil {
			continue
		}
		h, err := n.server.Handler(genosrtc.Site{Path: s.path, ClientIP: clientIP, Settings: s.Settings})
		if err != nil {
			return fmt.Errorf("site at %s: %w", s.path, err)
		}
		s.handler = h
	}
	for _, s := range c.sites {
		for h := n.inherit(c, s); h != nil; h = n.inherit(c, s) {
			s.kept = append(s.kept, h)
		}
	}
	return nil
}

// inherit finds the handler of an older site that a new one continues. Nothing
// names a site of Caddy for good, so it is the one at the same path that has
// most rooms in common, and not been inherited yet.
func (n *node) inherit(c *claim, s *site) *genosrtc.Handler {
	var best *genosrtc.Handler
	most := 0
	for _, older := range n.claims {
		for _, o := range older.sites {
			for _, h := range o.handlers() {
				if common := s.common(o); common > most && c.user(h) == nil {
					best, most = h, common
				}
			}
		}
	}
	return best
}

// user is the site of the oldest claim that has the handler, or nil.
func (n *node) user(h *genosrtc.Handler) *site {
	for _, c := range n.claims {
		if s := c.user(h); s != nil {
			return s
		}
	}
	return nil
}
