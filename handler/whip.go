package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// Media types of RFC 9725, section 4.1 and 4.3.
const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// maxDescription is the number of bytes that a session description may have.
const maxDescription = 64 << 10

var (
	noMedia            = &refusal{reason: "stopping", status: http.StatusServiceUnavailable, retryAfter: "5", detail: "the server's WebRTC port is closed"}
	tooManyOffers      = &refusal{reason: "address", status: http.StatusTooManyRequests, retryAfter: "1", detail: "too many WebRTC connections were begun from this address"}
	tooManyPendingHere = &refusal{reason: "address", status: http.StatusTooManyRequests, retryAfter: "2", detail: "too many WebRTC connections are being made from this address"}
	tooManyPending     = &refusal{reason: "sessions", status: http.StatusServiceUnavailable, retryAfter: "2", detail: "too many WebRTC connections are being made"}
)

// serveWHIP is the endpoint (RFC 9725, section 4.1) that makes sessions over WebRTC.
// Beyond the RFC these may have a data channel, with media or without.
func (h *Handler) serveWHIP(w http.ResponseWriter, r *http.Request) {
	whipHeader(w, r, "Accept-Post", typeSDP)
	v, ok := h.approach(w, r, http.MethodGet, http.MethodHead, http.MethodPost)
	if !ok {
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNoContent) // section 4.2
		return
	}
	address := h.clientIP(r)
	key := network(address)
	if !h.offers.allow(key) {
		h.refuse(w, tooManyOffers)
		return
	}
	offer, why := readDescription(w, r, typeSDP)
	if why != nil {
		h.refuse(w, why)
		return
	}
	meta, why := streamMeta(r)
	if why != nil {
		h.refuse(w, why)
		return
	}
	if why := h.admit(key, v.set.limits); why != nil {
		h.refuse(w, why)
		return
	}
	kept := false // it outlives the request
	defer func() {
		if !kept {
			h.release(key)
		}
	}()
	if v.room, why = h.enter(v.door, key); why != nil {
		h.refuse(w, why)
		return
	}
	if why := h.guests.begin(key); why != nil {
		h.refuse(w, why)
		return
	}
	defer func() {
		if !kept {
			h.guests.begun(key)
		}
	}()
	peer, answer, err := h.webrtc.Guest(r.Context(), offer, channelLabel)
	if err != nil {
		h.refuse(w, h.unanswered(err))
		return
	}
	if !peer.HasData() && !v.grant.MayPublish(engine.ChannelStream) {
		_ = peer.Close()
		h.refuse(w, forbiddenMedia)
		return
	}
	g := h.guests.add(v.room.Name(), peer, meta)
	kept = true
	go func() {
		defer h.release(key)
		h.host(g, v, address)
	}()
	header := w.Header()
	header.Set("Content-Type", typeSDP)
	header.Set("Cache-Control", "no-store")
	header.Set("Location", h.path+"/rooms/"+url.PathEscape(v.room.Name())+"/whip/"+g.id)
	header.Set("Accept-Patch", typeFragment)
	header.Set("ETag", g.tag())
	linkICEServers(header, h.iceServers(v.grant, address))
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // an error is the client's going away
}

// streamMeta is what the URL says of the stream: in the query, as encoders let
// nothing else be set.
func streamMeta(r *http.Request) ([]byte, *refusal) {
	query := r.URL.Query()
	if !query.Has("meta") {
		return nil, nil
	}
	meta := []byte(query.Get("meta"))
	if len(meta) > engine.MaxStreamMeta || !json.Valid(meta) {
		return nil, badRequest(http.StatusBadRequest, "meta is JSON of at most 16384 bytes")
	}
	return meta, nil
}

// whipHeader says what is taken, and lets scripts read and send what WHIP needs
// beside the usual. A known client sends ETag for If-Match, and sends candidates only
// where OPTIONS tells the endpoint's methods and those of its sessions.
func whipHeader(w http.ResponseWriter, r *http.Request, accept, mediaType string) {
	header := w.Header()
	header.Set(accept, mediaType)
	header.Add("Access-Control-Expose-Headers", "Accept-Patch, Accept-Post, Access-Control-Allow-Methods, Link, WWW-Authenticate")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE, OPTIONS")
		header.Add("Access-Control-Allow-Headers", "ETag")
	}
}

// unanswered is the refusal of an offer that has no answer.
func (h *Handler) unanswered(err error) *refusal {
	switch {
	case errors.Is(err, rtc.ErrDescription):
		return badRequest(http.StatusBadRequest, err.Error())
	case errors.Is(err, rtc.ErrNotNegotiable):
		return badRequest(http.StatusUnprocessableEntity, err.Error())
	}
	if !errors.Is(err, context.Canceled) { // the client's going away
		h.log.Warn("an offer could not be answered", "error", err)
	}
	return noMedia
}

// readDescription reads a body of a media type.
func readDescription(w http.ResponseWriter, r *http.Request, want string) (string, *refusal) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		return "", badRequest(http.StatusUnsupportedMediaType, "the Content-Type must be "+want)
	}
	body, why := read(w, r, maxDescription)
	return string(body), why
}
