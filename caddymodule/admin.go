package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// Admin adds what an operator needs to Caddy's admin endpoint, under `/genosrtc/`:
// the state of rooms, sessions and relays as JSON, health for load balancers, and
// ways to kick a peer, close a room, change relays and drain the server. The paths
// and documents are described in docs/operations.md.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.genosrtc",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes implements caddy.AdminRouter.
func (*Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		adminRoute("/genosrtc/status", methods{"GET": getStatus}),
		adminRoute("/genosrtc/rooms", methods{"GET": getRooms}),
		adminRoute("/genosrtc/rooms/{room}", methods{"GET": getRoom}),
		adminRoute("/genosrtc/rooms/{room}/why", methods{"GET": getWhy}),
		adminRoute("/genosrtc/rooms/{room}/kick", methods{"POST": postKick}),
		adminRoute("/genosrtc/rooms/{room}/close", methods{"POST": postClose}),
		adminRoute("/genosrtc/sessions", methods{"GET": getSessions}),
		adminRoute("/genosrtc/relays", methods{"GET": getRelays}),
		adminRoute("/genosrtc/relays/add", methods{"POST": postAddRelay}),
		adminRoute("/genosrtc/relays/remove", methods{"POST": postRemoveRelay}),
		adminRoute("/genosrtc/drain", methods{"POST": postDrain}),
		adminRoute("/genosrtc/undrain", methods{"POST": postUndrain}),
		adminRoute("/genosrtc/health/live", methods{"GET": getLive}),
		adminRoute("/genosrtc/health/ready", methods{"GET": getReady}),
		adminRoute("/genosrtc/", methods{}),
	}
}

// methods are what can be done with a resource. Each answers with a document, or an
// error that is told as fail says.
type methods map[string]func(*genosrtc.Server, *http.Request) (any, error)

// adminRoute serves a resource. Without methods there is none.
func adminRoute(pattern string, m methods) caddy.AdminRoute {
	return caddy.AdminRoute{Pattern: pattern, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if len(m) == 0 {
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is nothing at %s", r.URL.Path)}
		}
		do, ok := m[r.Method]
		if !ok {
			for method := range m {
				w.Header().Set("Allow", method)
			}
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s is not possible here", r.Method)}
		}
		server := running()
		if server == nil {
			return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: errors.New("no genosrtc server runs: the configuration has none")}
		}
		document, err := do(server, r)
		if err != nil {
			return fail(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if s, ok := document.(interface{ status() int }); ok {
			w.WriteHeader(s.status())
		}
		_ = json.NewEncoder(w).Encode(document) // an error is the client's going away
		return nil
	})}
}

// running is the server of this process, or nil. There are two for a moment only,
// while a reload takes another data directory.
func running() (server *genosrtc.Server) {
	nodes.Range(func(_, value any) bool {
		server = value.(*node).running.Load()
		return server == nil
	})
	return server
}

// fail makes an error one of Caddy's, which logs it. What we do not know is told to the
// client in general only.
func fail(err error) error {
	for known, status := range map[error]int{
		handler.ErrNoRoom:      http.StatusNotFound,
		engine.ErrUnknownPeer:  http.StatusNotFound,
		genosrtc.ErrNoRelay:    http.StatusNotFound,
		genosrtc.ErrKnownRelay: http.StatusConflict,
		genosrtc.ErrClosed:     http.StatusServiceUnavailable,
		engine.ErrClosed:       http.StatusServiceUnavailable,
		errRequest:             http.StatusBadRequest,
	} {
		if errors.Is(err, known) {
			message := known.Error()
			if known == errRequest {
				message = err.Error()
			}
			return caddy.APIError{HTTPStatus: status, Err: err, Message: message}
		}
	}
	return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err, Message: "it failed; the log of the server says why"}
}

var errRequest = errors.New("bad request")

// maxAdminBody is what a request may have.
const maxAdminBody = 64 << 10

// body reads the document of a request, which may be missing.
func body(r *http.Request, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxAdminBody+1))
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err != nil:
		return fmt.Errorf("%w: %w", errRequest, err)
	case len(raw) > maxAdminBody:
		return fmt.Errorf("%w: more than %d bytes", errRequest, maxAdminBody)
	case len(raw) == 0:
		return nil
	case kind != "application/json":
		return fmt.Errorf("%w: the body must be application/json", errRequest)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

// span reads a duration such as 30s, which may be missing.
func span(text string, usual, most time.Duration) (time.Duration, error) {
	if text == "" {
		return usual, nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("%w: %q is not a duration from 0s to %v", errRequest, text, most)
	}
	return d, nil
}

const (
	usualKick  = 10 * time.Minute
	mostKick   = 30 * 24 * time.Hour
	usualDrain = 30 * time.Second
	mostDrain  = 24 * time.Hour
)

func postKick(s *genosrtc.Server, r *http.Request) (any, error) {
	var request struct{ Peer, For string }
	if err := body(r, &request); err != nil {
		return nil, err
	}
	if request.Peer == "" {
		return nil, fmt.Errorf("%w: peer is missing", errRequest)
	}
	out, err := span(request.For, usualKick, mostKick)
	if err != nil {
		return nil, err
	}
	room, err := s.Room(r.PathValue("room"))
	if err == nil {
		err = room.Kick(request.Peer, out)
	}
	if err != nil {
		return nil, err
	}
	caddy.Log().Named("genosrtc").Info(fmt.Sprintf("peer %q was kicked out of room %q", request.Peer, room.Name()))
	return done, nil
}

// done is the document of what has none.
var done = struct{}{}

func postClose(s *genosrtc.Server, r *http.Request) (any, error) {
	return done, s.CloseRoom(r.PathValue("room"))
}

func postAddRelay(s *genosrtc.Server, r *http.Request) (any, error) {
	url, err := relayOf(r)
	if err == nil {
		err = s.AddRelay(url)
	}
	return done, err
}

func postRemoveRelay(s *genosrtc.Server, r *http.Request) (any, error) {
	url, err := relayOf(r)
	if err == nil {
		err = s.RemoveRelay(url)
	}
	return done, err
}

func relayOf(r *http.Request) (string, error) {
	var request struct{ URL string }
	if err := body(r, &request); err != nil {
		return "", err
	}
	if err := checkRelay(request.URL); err != nil {
		return "", fmt.Errorf("%w: %w", errRequest, err)
	}
	return request.URL, nil
}

func postDrain(s *genosrtc.Server, r *http.Request) (any, error) {
	var request struct{ Over string }
	if err := body(r, &request); err != nil {
		return nil, err
	}
	over, err := span(request.Over, usualDrain, mostDrain)
	if err != nil {
		return nil, err
	}
	s.Drain(over)
	return documentStatus(s), nil
}

func postUndrain(s *genosrtc.Server, _ *http.Request) (any, error) {
	s.Undrain()
	return documentStatus(s), nil
}

func getStatus(s *genosrtc.Server, _ *http.Request) (any, error) { return documentStatus(s), nil }

func getLive(*genosrtc.Server, *http.Request) (any, error) { return health{Status: "ok"}, nil }

func getReady(s *genosrtc.Server, _ *http.Request) (any, error) {
	if trouble := s.Trouble(); len(trouble) > 0 {
		return health{"not ready", trouble}, nil
	}
	return health{Status: "ok"}, nil
}

// health is the document of a load balancer's question.
type health struct {
	Status  string   `json:"status"`
	Trouble []string `json:"trouble,omitempty"`
}

func (h health) status() int {
	if len(h.Trouble) > 0 {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}
