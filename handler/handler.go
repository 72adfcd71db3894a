// Package handler serves GenosRTC over net/http: sessions on WebSockets and on
// WebRTC's data channels, rooms as Server-Sent Events and by POST, the relay's
// endpoint, the JavaScript client, and the monitor page.
// It knows nothing of Caddy.
package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/internal/tally"
	"github.com/genosrtc/caddy-genosrtc/session"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/web"
)

// DefaultPath is where everything is, unless configured otherwise.
const DefaultPath = "/genosrtc"

// Config is what a Handler is made of. Only Engine is required.
type Config struct {
	Engine *engine.Node
	// OpenRoom opens a room that is not open, if it is one that may be opened
	// because somebody asks for it. It fails with ErrNoRoom if not, and with
	// ErrTooManyRooms. Nil: there are none.
	OpenRoom func(name string) (*engine.Room, error)
	// ICEServers makes the list of STUN and TURN servers that a client is given.
	// Nil: none.
	ICEServers ICEServers
	// WebRTC answers the offers of clients. Nil: 404.
	WebRTC *rtc.Transport
	// Media is told of each session over WebRTC that has taken a seat, for its
	// tracks. It must not block. Nil: they are published in the room.
	Media func(*engine.Room, *engine.Attachment, *rtc.Guest)
	// Relay serves {path}/relay. Nil: 404.
	Relay http.Handler
	// Relays tells how the relays are that rooms are found by. Nil: nobody knows.
	Relays func() []signaling.RelayStatus
	// Path is the prefix of all resources: segments of letters, digits and
	// "-._~", each after a slash. Default "/genosrtc".
	Path string
	// ClientIP returns the address of the client, for limits. Nil: the host of
	// Request.RemoteAddr, which behind a proxy is the proxy's.
	ClientIP func(*http.Request) string
	// Refused is told of clients that were refused a session or another use of a
	// room, which costs them nothing: it must not wait. Nil: nobody.
	Refused func(Refused)
	// Logger takes what an operator would act on. Nil: slog.Default().
	Logger *slog.Logger

	Settings
}

// Refused is a refusal.
type Refused struct {
	Room    string // that was asked for, whether there is one or not
	Address string // of the client
	Reason  string // as Stats.Refused has it, or the code of a hello's error
}

// Handler is an http.Handler for all resources under its path
// (docs/gateway.md). Close ends it.
type Handler struct {
	engine   *engine.Node
	openRoom func(string) (*engine.Room, error)
	relays   func() []signaling.RelayStatus
	monitor  *monitor
	path     string
	clientIP func(*http.Request) string
	ice      ICEServers
	watcher  func(Refused)
	log      *slog.Logger
	mux      *http.ServeMux
	settings atomic.Pointer[settings]

	// ctx is the life of all sessions; killed ends their connections without
	// farewell.
	ctx    context.Context
	stop   context.CancelCauseFunc
	killed context.Context
	kill   context.CancelFunc

	webrtc *rtc.Transport
	media  func(*engine.Room, *engine.Attachment, *rtc.Guest)
	guests guests

	counters session.Counters
	refused  tally.Tally[string] // reasons are constants of this package
	tickets  tickets
	opened   atomic.Uint64
	// Of Server-Sent Events and POST.
	slowStreams, published atomic.Uint64
	answers                *answers
	openers                paces // of rooms
	offers                 paces // of WebRTC
	// lists are those that are made at once: each may read a whole graph. Others wait.
	lists *semaphore.Weighted

	running   sync.WaitGroup // sessions, streams of events, and POSTs
	mu        sync.Mutex
	closed    bool
	draining  *drain // nil: not
	held      map[*held]struct{}
	open      int            // of them
	byAddress map[string]int // of them
}

var validPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// New makes a handler. It fails if the path or the settings are not valid.
func New(cfg Config) (*Handler, error) {
	if cfg.Engine == nil {
		return nil, errors.New("handler: no engine")
	}
	if cfg.Path == "" {
		cfg.Path = DefaultPath
	}
	if !validPath.MatchString(cfg.Path) {
		return nil, fmt.Errorf("handler: path %q is not of the form /segment/segment", cfg.Path)
	}
	h := &Handler{
		engine: cfg.Engine, openRoom: cfg.OpenRoom, path: cfg.Path, clientIP: cfg.ClientIP, log: cfg.Logger,
		ice: cfg.ICEServers, watcher: cfg.Refused, relays: cfg.Relays, monitor: newMonitor(),
		mux: http.NewServeMux(), byAddress: make(map[string]int), answers: newAnswers(), openers: newPaces(openRate, openBurst), offers: newPaces(offerRate, offerBurst),
		lists:  semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		webrtc: cfg.WebRTC, media: cfg.Media, guests: guests{patience: connectTime},
		held: make(map[*held]struct{}),
	}
	if h.clientIP == nil {
		h.clientIP = remoteHost
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	if err := h.Configure(cfg.Settings); err != nil {
		return nil, err
	}
	h.ctx, h.stop = context.WithCancelCause(context.Background())
	h.killed, h.kill = context.WithCancel(context.Background())

	h.mux.HandleFunc("/", notFound)
	h.mux.HandleFunc(h.path+"/ice", h.serveICE)
	h.mux.HandleFunc(h.path+"/rooms/{room}", h.serveRoom)
	h.mux.HandleFunc(h.path+"/rooms/{room}/ws", h.serveSession)
	h.mux.HandleFunc(h.path+"/rooms/{room}/tickets", h.serveTicket)
	h.mux.HandleFunc(h.path+"/rooms/{room}/events", h.serveEvents)
	h.mux.HandleFunc(h.path+"/rooms/{room}/channels/{channel}", h.servePublish)
	h.mux.HandleFunc(h.path+"/rooms/{room}/graph", h.serveGraph)
	h.mux.HandleFunc(h.path+"/rooms/{room}/graph/events", h.serveGraphEvents)
	h.mux.HandleFunc(h.path+"/rooms/{room}/graph/{id}", h.serveNode)
	h.mux.HandleFunc(h.path+"/rooms/{room}/graph/{id}/edges/{target}", h.serveEdge)
	h.mux.HandleFunc(h.path+"/rooms/{room}/monitor", h.monitored(h.servePicture))
	h.mux.HandleFunc(h.path, h.monitored(http.RedirectHandler(h.path+"/", http.StatusPermanentRedirect).ServeHTTP))
	h.mux.HandleFunc(h.path+"/{$}", h.monitored(h.serveMonitor))
	h.mux.HandleFunc(h.path+"/monitor.js", h.monitored(newScript(web.MonitorJS, "text/javascript; charset=utf-8").ServeHTTP))
	h.mux.HandleFunc(h.path+"/monitor.css", h.monitored(newScript(web.MonitorCSS, "text/css; charset=utf-8").ServeHTTP))
	h.mux.Handle(h.path+"/client.js", newScript(web.ClientJS, "text/javascript; charset=utf-8"))
	h.mux.Handle(h.path+"/client.d.ts", newScript(web.ClientTypes, "text/plain; charset=utf-8"))
	if cfg.WebRTC != nil {
		h.mux.HandleFunc(h.path+"/rooms/{room}/whip", h.serveWHIP)
		h.mux.HandleFunc(h.path+"/rooms/{room}/whip/{session}", h.serveGuest)
	}
	if cfg.Relay != nil {
		h.mux.Handle(h.path+"/relay", cfg.Relay)
	}
	return h, nil
}

// Errors of Config.OpenRoom.
var (
	ErrNoRoom       = errors.New("the room is not opened on demand")
	ErrTooManyRooms = errors.New("too many rooms are open on demand, and all have users")
)

// Match tells whether a request's path is the handler's own. ServeHTTP answers
// 404 to others.
func (h *Handler) Match(path string) bool {
	rest, ok := strings.CutPrefix(path, h.path)
	return ok && (rest == "" || rest[0] == '/')
}

// ServeHTTP serves one request. For a stream of events it returns when that is
// closed; for a session's WebSocket it may return as soon as that is open. Close
// ends them.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(w, http.StatusNotFound, "", "there is nothing at "+r.URL.EscapedPath())
}

// Close ends all sessions with 1001, and streams of events, takes no new ones (503),
// and waits. When
// ctx ends before, their connections are cut and its error is returned; nothing
// is left running in either case. It is idempotent. The relay is not closed.
func (h *Handler) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop(session.Stopping)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		h.kill()
		<-ended
		return fmt.Errorf("close sessions: %w", ctx.Err())
	}
}

// Stats are what a handler holds now, and its totals since it began.
type Stats struct {
	// Sessions are those that are open, streams of events among them, and the
	// POSTs under way.
	Sessions  int
	Opened    uint64 // sessions and streams of events
	Published uint64 // messages by POST
	// Refused counts the requests that were refused, by reason: room, rooms,
	// origin, stopping, draining, starting, sessions, address, handshake, webrtc (a connection
	// that was never up), tickets, request (it is at fault itself), and the codes token,
	// token_expired, forbidden and password.
	Refused map[string]uint64
	// Errors counts what clients were told, by code (docs/gateway.md, "error").
	Errors map[session.Code]uint64
	Slow   uint64 // sessions and streams cut off because their client did not read
}

// Add adds what another handler holds and its totals.
func (s *Stats) Add(o Stats) {
	s.Sessions += o.Sessions
	s.Opened += o.Opened
	s.Published += o.Published
	s.Slow += o.Slow
	s.Refused, s.Errors = added(s.Refused, o.Refused), added(s.Errors, o.Errors)
}

func added[K comparable](sum, more map[K]uint64) map[K]uint64 {
	if sum == nil {
		sum = make(map[K]uint64, len(more))
	}
	for k, n := range more {
		sum[k] += n
	}
	return sum
}

// Stats returns the handler's totals.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Sessions: h.open, Opened: h.opened.Load(), Refused: h.refused.Counts(),
		Published: h.published.Load(),
		Errors:    h.counters.Errors(), Slow: h.counters.Slow() + h.slowStreams.Load(),
	}
}
