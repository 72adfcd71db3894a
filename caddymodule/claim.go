package caddymodule

import (
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/genosrtc/caddy-genosrtc"
)

// claim is what one configuration of Caddy wants of a node.
type claim struct {
	config genosrtc.Config // its rooms are those of the sites
	sites  []*site
	emit   func(genosrtc.Event) // in the name of this configuration

	// settled is closed once the claim is held, so that the sites have their
	// handlers, or it is known that it never will be.
	settled chan struct{}
	once    sync.Once
}

func newClaim(cfg genosrtc.Config) *claim {
	return &claim{config: cfg, emit: func(genosrtc.Event) {}, settled: make(chan struct{})}
}

func (c *claim) settle() { c.once.Do(func() { close(c.settled) }) }

// add adds a site and its rooms. Sites may share a room if they agree on it.
func (c *claim) add(s *site, rooms []genosrtc.Room) error {
	for _, room := range rooms {
		i := slices.IndexFunc(c.config.Rooms, named(room.Name))
		switch {
		case i < 0:
			c.config.Rooms = append(c.config.Rooms, room)
		case !reflect.DeepEqual(c.config.Rooms[i], room):
			return fmt.Errorf("room %q is configured in another way by another site: password, identity, redeliver, durable, memory, anonymous, cells, sessions and channels must be the same", room.Name)
		}
	}
	s.claim = c
	c.config.OnDemand = append(c.config.OnDemand, s.onDemand...)
	c.sites = append(c.sites, s)
	return nil
}

// user is the site that has the handler, or nil.
func (c *claim) user(h *genosrtc.Handler) *site {
	for _, s := range c.sites {
		if slices.Contains(s.handlers(), h) {
			return s
		}
	}
	return nil
}

func named(name string) func(genosrtc.Room) bool {
	return func(r genosrtc.Room) bool { return r.Name == name }
}

// site is what one handler module of a configuration serves.
type site struct {
	path  string
	rooms []string
	// onDemand are patterns of further rooms.
	onDemand []string
	claim    *claim
	genosrtc.Settings
	handler *genosrtc.Handler // set when the claim is settled, nil if it is not held
	// kept are further handlers, for the sessions that they have: those of
	// earlier sites that may have been this one.
	kept []*genosrtc.Handler
}

func (s *site) handlers() []*genosrtc.Handler {
	if s.handler == nil {
		return nil
	}
	return append([]*genosrtc.Handler{s.handler}, s.kept...)
}

// match tells whether a request's path is one of the site's.
func (s *site) match(path string) bool {
	rest, ok := strings.CutPrefix(path, s.path)
	return ok && (rest == "" || rest[0] == '/')
}

// serves tells whether a room is one of the site's, open or not. A pattern matches
// no room that another site names: that one may ask for credentials.
func (s *site) serves(room string) bool {
	if slices.Contains(s.rooms, room) {
		return true
	}
	if slices.ContainsFunc(s.claim.config.Rooms, named(room)) {
		return false
	}
	return slices.ContainsFunc(s.onDemand, func(pattern string) bool {
		ok, err := path.Match(pattern, room)
		return ok && err == nil
	})
}

// common tells how much of one site is in another: nothing unless the path is
// the same.
func (s *site) common(o *site) int {
	if s.path != o.path {
		return 0
	}
	n := 0
	for _, room := range s.rooms {
		if slices.Contains(o.rooms, room) {
			n++
		}
	}
	for _, pattern := range s.onDemand {
		if slices.Contains(o.onDemand, pattern) {
			n++
		}
	}
	if len(s.rooms)+len(s.onDemand) == 0 && len(o.rooms)+len(o.onDemand) == 0 {
		n = 1
	}
	return n
}

// clientIP is the address of the client as Caddy sees it: the proxy's word for
// it only if the proxy is trusted.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}
