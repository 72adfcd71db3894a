package handler

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// readHeadroom is what a WebSocket message may have beside twice the limit of
// its data: base64 and escapes make data longer, and recipients have a place.
const readHeadroom = 64 << 10

// refusal is why a request for a session is refused before the handshake.
type refusal struct {
	reason     string // for Stats
	status     int
	retryAfter string // seconds
	detail     string
	code       session.Code // of credentials
	challenges []string     // of 401
}

var (
	unknownRoom     = &refusal{reason: "room", status: http.StatusNotFound, detail: "no room of that name is configured here"}
	foreignOrigin   = &refusal{reason: "origin", status: http.StatusForbidden, detail: "pages of this origin may not connect: it is not listed in the server's origins"}
	starting        = &refusal{reason: "starting", status: http.StatusServiceUnavailable, retryAfter: "1", detail: "the room is not open yet"}
	stopping        = &refusal{reason: "stopping", status: http.StatusServiceUnavailable, retryAfter: "5", detail: "the server is stopping"}
	draining        = &refusal{reason: "draining", status: http.StatusServiceUnavailable, retryAfter: "5", detail: "the server is about to stop and takes no new sessions"}
	tooManyHere     = &refusal{reason: "address", status: http.StatusTooManyRequests, retryAfter: "10", detail: "too many sessions from this address"}
	tooManySessions = &refusal{reason: "sessions", status: http.StatusServiceUnavailable, retryAfter: "10", detail: "too many sessions"}
	tooManyRooms    = &refusal{reason: "rooms", status: http.StatusServiceUnavailable, retryAfter: "10", detail: ErrTooManyRooms.Error()}
	tooManyOpened   = &refusal{reason: "rooms", status: http.StatusTooManyRequests, retryAfter: "10", detail: "too many rooms were opened from this address"}
	noHandshake     = &refusal{reason: "handshake", status: http.StatusUpgradeRequired, detail: "this is a WebSocket: connect with RFC 6455 over HTTP/1.1"}
)

// refuse answers a request for a session, and counts why.
func (h *Handler) refuse(w http.ResponseWriter, why *refusal) {
	h.refused.Add(why.reason)
	if why.retryAfter != "" {
		w.Header().Set("Retry-After", why.retryAfter)
	}
	for _, challenge := range why.challenges {
		w.Header().Add("WWW-Authenticate", challenge)
	}
	problem(w, why.status, why.code, why.detail)
}

// turnAway is refuse for a client that wants into a room, of which who watches is told.
func (h *Handler) turnAway(w http.ResponseWriter, r *http.Request, why *refusal) {
	h.refuse(w, why)
	h.tell(r.PathValue("room"), h.clientIP(r), why.reason)
}

func (h *Handler) tell(room, address, reason string) {
	if h.watcher != nil {
		h.watcher(Refused{room, address, reason})
	}
}

// serveSession is a session, from the handshake on. It returns when that is done,
// so that what the HTTP server has for a request is free again; unless the
// connection is wrapped by somebody who needs the request until its end.
func (h *Handler) serveSession(w http.ResponseWriter, r *http.Request) {
	// An extended CONNECT (RFC 8441, RFC 9220) is refused as what it is.
	if !(r.Method == http.MethodConnect && r.ProtoMajor >= 2) && !allowed(w, r, http.MethodGet) {
		return
	}
	set := h.settings.Load()
	door, why := h.door(r, set)
	if why != nil {
		h.turnAway(w, r, why)
		return
	}
	address := h.clientIP(r)
	key := network(address)
	if why := h.admit(key, set.limits); why != nil {
		h.turnAway(w, r, why)
		return
	}
	kept := false // it outlives the request
	defer func() {
		if !kept {
			h.release(key)
		}
	}()
	// Last, so that a plain request tells a script whether a WebSocket would be
	// welcome.
	if !isHandshake(r) {
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Version", "13")
		}
		h.refuse(w, noHandshake)
		return
	}
	shown, fault := h.shown(r, door)
	if fault == nil && shown != (credentials{}) {
		_, fault = set.judge(door, shown)
	}
	if fault != nil {
		h.turnAway(w, r, set.unauthorized(door, fault))
		return
	}
	room, why := h.enter(door, key)
	if why != nil {
		h.turnAway(w, r, why)
		return
	}
	s, err := accept(w, r)
	if err != nil {
		h.log.Error("WebSocket handshake failed", "room", room.Name(), "address", address, "error", err)
		return
	}
	h.opened.Add(1)
	if s.conn.wrapped() {
		h.serve(s, room, shown, set.limits, address)
		return
	}
	kept = true
	go func() {
		defer h.release(key)
		defer func() {
			// As net/http has it: what is wrong with one session ends that one.
			if err := recover(); err != nil {
				h.log.Error("a session failed", "room", room.Name(), "address", address, "error", err, "stack", string(debug.Stack()))
			}
		}()
		h.serve(s, room, shown, set.limits, address)
	}()
}

// serve is a session whose WebSocket is open.
func (h *Handler) serve(s *socket, room *engine.Room, shown credentials, limits Limits, address string) {
	s.ws.SetReadLimit(2*int64(limits.Message) + readHeadroom)
	defer s.ws.CloseNow() // frees what the library has; the connection is closed
	defer startKeepAlive(s).stop()
	defer context.AfterFunc(h.killed, s.abort)()
	h.run(s, session.Config{Room: room, Codec: s.codec()}, shown, limits, address)
}

// run is a session, whatever carries it, until its end.
func (h *Handler) run(conn session.Conn, cfg session.Config, shown credentials, limits Limits, address string) {
	held := h.hold(cfg.Room)
	defer held.release()
	cfg.Counters = &h.counters
	cfg.Owner, cfg.PerOwner = network(address), limits.SessionsPerAddress
	cfg.Limits = session.Limits{Message: limits.Message, Pending: limits.Pending, Resume: limits.Resume}
	cfg.Admit = func(token, password string) (session.Grant, *session.Error) {
		grant, fault := held.admit(shown.with(token, password))
		if fault != nil {
			h.tell(cfg.Room.Name(), address, string(fault.Code))
		}
		return grant, fault
	}
	cfg.ICE = func(grant session.Grant) []ICEServer { return h.iceServers(grant, address) }
	cfg.Revoked, cfg.Pace = held.ctx, h.pace()
	err := session.Serve(h.ctx, conn, cfg)
	log := h.log.With("room", cfg.Room.Name(), "address", address)
	if errors.Is(err, engine.ErrSlow) {
		log.Info("slow session cut off", "reason", err)
		return
	}
	log.Debug("session ended", "reason", err)
}

// admit counts a session in, until release.
func (h *Handler) admit(key string, limits Limits) *refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return stopping
	case h.draining != nil:
		return draining
	case h.byAddress[key] >= limits.SessionsPerAddress:
		return tooManyHere
	case h.open >= limits.Sessions:
		return tooManySessions
	}
	h.open++
	h.byAddress[key]++
	h.running.Add(1)
	return nil
}

func (h *Handler) release(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if h.byAddress[key]--; h.byAddress[key] == 0 {
		delete(h.byAddress, key)
	}
	h.running.Done()
}

// network is whom limits per address are about: an IPv4 address, or the 64
// bits that an IPv6 customer is given at least.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.Prefix(64) // it has 128
	return prefix.String()
}

// isHandshake tells whether the library would take a request for a handshake
// (RFC 6455, section 4.2.1). Its own answers are no problem documents.
func isHandshake(r *http.Request) bool {
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16 &&
		r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1 &&
		headerHas(r.Header, "Connection", "upgrade") &&
		headerHas(r.Header, "Upgrade", "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == "13"
}
