package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// Handler serves a GenosRTC server at a path of a site, and names the rooms
// that exist there: the embedded Nostr relay at `{path}/relay`; the sessions of
// WebSocket clients at `{path}/rooms/{room}/ws`; for plain HTTP, Server-Sent
// Events at `{path}/rooms/{room}/events`, POST to
// `{path}/rooms/{room}/channels/{channel}`, who is there at `{path}/rooms/{room}`,
// and tickets at `{path}/rooms/{room}/tickets`; and the JavaScript client at
// `{path}/client.js`, with its types at `{path}/client.d.ts`. Sessions over WebRTC,
// and cameras that speak WHIP (RFC 9725), begin with a POST to
// `{path}/rooms/{room}/whip`. Where it is turned on, the monitor page is at
// `{path}/`. Requests for other paths go to the next handler.
//
// All sites share one server, see the app `genosrtc`. Several sites may serve
// the same room, if they configure it alike.
type Handler struct {
	// The path that everything is under. It begins with a slash and does not
	// end with one. Default: `/genosrtc`.
	Path string `json:"path,omitempty"`

	// The rooms that the server takes part in and that sessions of this site
	// can join. Default: none; the relay then carries the rooms of other sites.
	Rooms []Room `json:"rooms,omitempty"`

	// Patterns (`public-*`) for the names of rooms that are opened when somebody
	// asks for them here, and closed when they have had no users for two minutes.
	// They have no password, their names have 64 bytes at most, and 1,000 of them
	// can be open. Default: none.
	OnDemand []string `json:"on_demand,omitempty"`

	// Who may enter the rooms. Default: everybody who knows the password, where
	// there is one.
	Auth Auth `json:"auth,omitzero"`

	// The origins, such as `https://app.example`, whose pages may open sessions
	// here beside those of the site itself; `*` allows all. The relay may be
	// used from everywhere. Default: none.
	Origins []string `json:"origins,omitempty"`

	// Whether clients of WHIP are held to RFC 9725: `PATCH` needs `If-Match`, and the
	// URL of a session the credentials of its room. Default: false, as a known client
	// sends no `If-Match`, and the URLs cannot be guessed.
	StrictWHIP bool `json:"strict_whip,omitempty"`

	// Bounds on what the clients of this site can use. Those on single sessions
	// hold from their next connection on; the rate holds at once.
	// Default: those of its fields.
	Limits Limits `json:"limits,omitzero"`

	// Whether there is a page at the path itself on which people watch the rooms:
	// the mesh, how its links are, sessions, relays and transfers. It shows a room
	// to whoever may enter that. Default: false, 404.
	Monitor bool `json:"monitor,omitempty"`

	site  *site
	claim *claim // of the configuration that the handler is part of
}

// Room is a GenosRTC room, which is to say a GenosDB database.
type Room struct {
	// The database name that apps pass to `gdb(name)`. Required.
	Name string `json:"name"`

	// The password that apps pass beside the name, and that sessions must
	// give. Use a placeholder such as `{env.ROOM_PASSWORD}` or `{file.<path>}`
	// to keep it out of the configuration. Default: none, anybody can join.
	Password string `json:"password,omitempty"`

	// How browsers see a session: as a peer of its own (`session`), or through
	// the one peer of the server (`server`), which costs browsers less.
	// Default: `session`, for as many as the server's limits allow.
	Identity string `json:"identity,omitempty"`

	// The channels on which messages to a browser that a lost link may have
	// swallowed are sent again when it is back. They may then arrive more than
	// once; on other channels such messages are reported to the sender instead.
	// Default: none.
	Redeliver []string `json:"redeliver,omitempty"`

	// Whether messages of sessions are acknowledged only once they would survive
	// a power cut, which takes as long as the disk needs. Default: false, they
	// survive the end of the process.
	Durable bool `json:"durable,omitempty"`

	// Whether the server keeps the room's graph, in the storage folder: it brings
	// browsers up to date when no other is there, and serves the graph over HTTP.
	// Default: false; what it kept before stays in the folder.
	Memory bool `json:"memory,omitempty"`

	// Whether everybody in the room may write to its graph over HTTP and by
	// sessions. Default: false, only those who have shown credentials.
	AnonymousWrite bool `json:"anonymous_write,omitempty"`

	// Whether browsers link by cells, as with GenosDB's option `cells`, and not each
	// with all others: `on`, `off`, or `auto`, which learns it from what they send.
	// Default: `auto`.
	Cells string `json:"cells,omitempty"`

	// How many peers a cell is to have: the `cellSize` of the browsers. Default:
	// learned from what they send, else 10.
	CellSize int `json:"cell_size,omitempty"`

	// What may be sent on channels. Default: anything, on all.
	Channels []Channel `json:"channels,omitempty"`

	// How many sessions the room takes, streams of events and those that wait to
	// be resumed included. Default: 10000.
	Sessions int `json:"sessions,omitempty"`
}

// Limits bound what the clients of a site can use.
type Limits struct {
	// How many sessions the site takes at once, streams of events included.
	// Default: 10000.
	Sessions int `json:"sessions,omitempty"`

	// How many sessions it takes from one client address: an IPv4 address, or an
	// IPv6 network of 64 bits. Default: 256.
	PerAddress int `json:"per_address,omitempty"`

	// How large a message of a session may be, in bytes. Default: 2 MiB.
	Message int `json:"message,omitempty"`

	// How many bytes may wait for a session that reads too slowly before it is
	// cut off. Default: 8 MiB.
	Pending int `json:"pending,omitempty"`

	// How long a session lives without a connection, waiting for its client to
	// come back. Default: 2m.
	Resume caddy.Duration `json:"resume,omitempty"`

	// How many messages a second a session may send, and how many at once after a
	// silence. One that sends more is read more slowly, and loses nothing.
	// Default: any number.
	Rate int `json:"rate,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.genosrtc",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the settings and makes them known to the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := ctx.App("genosrtc")
	if err != nil {
		return err
	}
	repl := caddy.NewReplacer()
	rooms, err := h.rooms(repl)
	if err != nil {
		return err
	}
	origins, err := expandAll(repl, "origins", h.Origins)
	if err != nil {
		return err
	}
	auth, err := h.Auth.provision(repl)
	if err != nil {
		return err
	}
	h.site = &site{path: cmp.Or(h.Path, handler.DefaultPath)}
	if h.site.onDemand, err = expandAll(repl, "rooms", h.OnDemand); err != nil {
		return err
	}
	for _, room := range rooms {
		h.site.rooms = append(h.site.rooms, room.Name)
	}
	h.site.Settings = genosrtc.Settings{
		Rooms:   h.site.serves,
		Origins: origins,
		Auth:    auth, StrictWHIP: h.StrictWHIP,
		Limits: handler.Limits{
			Sessions: h.Limits.Sessions, SessionsPerAddress: h.Limits.PerAddress,
			Message: h.Limits.Message, Pending: h.Limits.Pending,
			Resume: time.Duration(h.Limits.Resume), Rate: h.Limits.Rate,
		},
	}
	if h.Monitor {
		h.site.Settings.Monitor = &genosrtc.Monitor{Rooms: h.site.rooms}
	}
	h.claim = app.(*App).claim
	return h.claim.add(h.site, rooms)
}

func (h *Handler) rooms(repl *caddy.Replacer) ([]genosrtc.Room, error) {
	var rooms []genosrtc.Room
	for _, r := range h.Rooms {
		var room genosrtc.Room
		var err error
		if room.Name, err = expand(repl, "room", r.Name); err != nil {
			return nil, err
		}
		if room.Password, err = repl.ReplaceOrErr(r.Password, true, true); err != nil {
			// The error would repeat a part of the password.
			return nil, fmt.Errorf("password of room %q: a placeholder in it is unknown or empty; a brace is written \\{", room.Name)
		}
		if room.Identity, err = parseIdentity(r.Identity); err != nil {
			return nil, fmt.Errorf("room %q: %w", room.Name, err)
		}
		if room.Redeliver, err = expandAll(repl, "redeliver", r.Redeliver); err != nil {
			return nil, fmt.Errorf("room %q: %w", room.Name, err)
		}
		slices.Sort(room.Redeliver) // to compare them
		room.Durable, room.Memory, room.AnonymousWrite = r.Durable, r.Memory, r.AnonymousWrite
		if room.Cells, err = engine.ParseCellsMode(cmp.Or(r.Cells, engine.CellsAuto.String())); err != nil {
			return nil, fmt.Errorf("room %q: %w", room.Name, err)
		}
		room.CellSize = r.CellSize
		for _, c := range r.Channels {
			rule, err := c.rule(repl)
			if err != nil {
				return nil, fmt.Errorf("room %q: %w", room.Name, err)
			}
			room.Rules = append(room.Rules, rule)
		}
		slices.SortFunc(room.Rules, func(a, b genosrtc.Rule) int { return strings.Compare(a.Channel, b.Channel) })
		room.Seats = r.Sessions
		rooms = append(rooms, room)
	}
	// Within a site, unlike between sites, a room named twice is a mistake.
	return rooms, genosrtc.Config{Rooms: rooms}.Validate()
}

// Validate checks the settings.
func (h *Handler) Validate() error {
	l := h.Limits
	if min(l.Sessions, l.PerAddress, l.Message, l.Pending, int(l.Resume), l.Rate) < 0 {
		return errors.New("a limit is negative")
	}
	return genosrtc.Site{Path: h.site.path, Settings: h.site.Settings}.Validate()
}

// ServeHTTP serves what is under the path. For a WebSocket it returns when that
// is closed, which may be long after the configuration was replaced.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !h.site.match(r.URL.Path) {
		return next.ServeHTTP(w, r)
	}
	// Caddy starts its apps in any order.
	select {
	case <-h.claim.settled:
	case <-r.Context().Done():
		return caddyhttp.Error(http.StatusServiceUnavailable, r.Context().Err())
	}
	if h.site.handler == nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("genosrtc did not start"))
	}
	h.site.handler.ServeHTTP(w, r)
	return nil
}
