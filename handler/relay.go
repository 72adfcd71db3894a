package handler

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

// RelayConfig is what the relay's endpoint says about itself.
type RelayConfig struct {
	Name        string // "GenosRTC relay" if empty
	Description string // a sentence about what is carried, if empty
	Version     string // of the software

	// ClientIP returns the address of the client, for limits. Nil: the host of
	// Request.RemoteAddr, which behind a proxy is the proxy's.
	ClientIP func(*http.Request) string
}

const relaySoftware = "https://github.com/genosrtc/caddy-genosrtc"

// NewRelay returns the embedded relay's endpoint. By the request's headers it is
// a WebSocket (RFC 6455) that speaks NIP-01, the relay's NIP-11 document
// (Accept: application/nostr+json), or a status page.
//
// Any Origin is accepted, as the relay carries only what is encrypted and
// signed. ServeHTTP blocks for a socket's life: closing the relay ends it.
func NewRelay(r *relay.Relay, cfg RelayConfig) http.Handler {
	if cfg.Name == "" {
		cfg.Name = "GenosRTC relay"
	}
	if cfg.Description == "" {
		cfg.Description = "Carries the signaling of GenosRTC rooms (ephemeral kinds, nothing is stored): those of this server, and the peers announced in them."
		if r.Open() {
			cfg.Description = "Carries the signaling of GenosRTC rooms (ephemeral kinds, nothing is stored): everybody's."
		}
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = remoteHost
	}
	return &relayHandler{relay: r, cfg: cfg, buffers: newRelayBuffers(r.Limits().Message)}
}

type relayHandler struct {
	relay   *relay.Relay
	cfg     RelayConfig
	buffers *relayBuffers
}

func (h *relayHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		// An extended CONNECT (RFC 8441, RFC 9220). HTTP/2 and 3 have no Upgrade
		// header that could name the way out.
		problem(w, http.StatusUpgradeRequired, "", "WebSockets over HTTP/2 and 3 are not supported here: connect with HTTP/1.1")
	case headerHas(r.Header, "Upgrade", "websocket"):
		h.serveSocket(w, r)
	case r.Method == http.MethodOptions:
		allowAnyOrigin(w)
		w.WriteHeader(http.StatusNoContent)
	case !allowed(w, r, http.MethodGet, http.MethodHead, http.MethodOptions):
	case headerHas(r.Header, "Accept", "application/nostr+json"):
		h.serveInformation(w)
	default:
		h.serveStatus(w, r)
	}
}

// serveSocket is the relay itself.
func (h *relayHandler) serveSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := h.relay.Accept(h.cfg.ClientIP(r))
	if err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, relay.ErrTooManyForThisAddress) {
			status = http.StatusTooManyRequests
		}
		w.Header().Set("Retry-After", "30")
		problem(w, status, "", err.Error())
		return
	}
	hijacker := &connHijacker{ResponseWriter: w}
	ws, err := websocket.Accept(hijacker, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		conn.Cancel() // Accept has answered
		return
	}
	s := newRelaySocket(ws, hijacker.conn, h.buffers)
	conn.Serve(s)
	s.end()
}

// relayInformation is the NIP-11 document.
type relayInformation struct {
	Name          string          `json:"name"`
	Description   string          `json:"description"`
	SupportedNIPs []int           `json:"supported_nips"`
	Software      string          `json:"software"`
	Version       string          `json:"version"`
	Limitation    relayLimitation `json:"limitation"`
}

type relayLimitation struct {
	MaxMessageLength    int  `json:"max_message_length"`
	MaxSubscriptions    int  `json:"max_subscriptions"`
	MaxSubidLength      int  `json:"max_subid_length"`
	MaxEventTags        int  `json:"max_event_tags"`
	MinPowDifficulty    int  `json:"min_pow_difficulty"`
	AuthRequired        bool `json:"auth_required"`
	PaymentRequired     bool `json:"payment_required"`
	RestrictedWrites    bool `json:"restricted_writes"` // not everybody's topics
	CreatedAtLowerLimit int  `json:"created_at_lower_limit"`
	CreatedAtUpperLimit int  `json:"created_at_upper_limit"`
}

func (h *relayHandler) serveInformation(w http.ResponseWriter) {
	limits := h.relay.Limits()
	allowAnyOrigin(w)
	w.Header().Set("Content-Type", "application/nostr+json")
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-cache")
	// An error is the client's going away.
	_ = json.NewEncoder(w).Encode(relayInformation{
		Name:          h.cfg.Name,
		Description:   h.cfg.Description,
		SupportedNIPs: []int{1, 11},
		Software:      relaySoftware,
		Version:       h.cfg.Version,
		Limitation: relayLimitation{
			MaxMessageLength:    limits.Message,
			MaxSubscriptions:    limits.Subscriptions,
			MaxSubidLength:      relay.MaxSubscriptionID,
			MaxEventTags:        limits.Tags,
			RestrictedWrites:    !h.relay.Open(),
			CreatedAtLowerLimit: int(relay.ClockSkew / time.Second),
			CreatedAtUpperLimit: int(relay.ClockSkew / time.Second),
		},
	})
}

// allowAnyOrigin is what NIP-11 demands.
func allowAnyOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Headers", "*")
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
}

// headerHas tells whether a comma-separated header names a value, whatever its
// parameters.
func headerHas(header http.Header, name, value string) bool {
	for _, line := range header.Values(name) {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(item), value) {
				return true
			}
		}
	}
	return false
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
