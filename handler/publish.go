package handler

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// receipt is the answer to a message that was taken (docs/gateway.md, "POST").
type receipt struct {
	Seq     uint64          `json:"seq"`
	Results []receiptResult `json:"results,omitempty"`
}

type receiptResult struct {
	Peer  string `json:"peer"`
	Error string `json:"error"`
}

// message is what a POST is to send, read from it.
type message struct {
	to   []string
	kind string // text/plain, application/json, or anything else
}

// servePublish sends one message to a room, as its server's peer.
func (h *Handler) servePublish(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodPost)
	if !ok {
		return
	}
	m, why := v.posted(r)
	if why != nil {
		if why.status == http.StatusUnsupportedMediaType {
			w.Header().Set("Accept-Post", "application/json, text/plain, application/octet-stream")
			w.Header().Set("Accept-Encoding", "identity")
		}
		h.refuse(w, why)
		return
	}
	network := network(h.clientIP(r))
	if why := h.admit(network, v.set.limits); why != nil {
		h.refuse(w, why)
		return
	}
	defer h.release(network)
	body, why := read(w, r, v.set.limits.Message)
	if why != nil {
		h.refuse(w, why)
		return
	}
	receipt, why := h.publishOnce(r, v, m, body)
	if why != nil {
		h.refuse(w, why)
		return
	}
	respond(w, http.StatusAccepted, receipt)
}

// posted judges all of a POST but its body.
func (v *visit) posted(r *http.Request) (m message, why *refusal) {
	bad := func(status int, format string, args ...any) (message, *refusal) {
		return m, badRequest(status, fmt.Sprintf(format, args...))
	}
	channel := r.PathValue("channel")
	if !engine.ValidChannel(channel) {
		return bad(http.StatusBadRequest, "channel: %d bytes; %v", len(channel), engine.ErrChannelName)
	}
	if !v.grant.MayPublish(channel) {
		return m, forbiddenChannel
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	if m.to = query["to"]; len(m.to) > engine.MaxRecipients {
		return bad(http.StatusBadRequest, "to: %d recipients, at most %d are possible", len(m.to), engine.MaxRecipients)
	}
	for i, to := range m.to {
		if to == "" || len(to) > engine.MaxPeerID {
			return bad(http.StatusBadRequest, "to: a peer id has 1 to %d bytes", engine.MaxPeerID)
		}
		m.to[i] = strings.Clone(to) // the answer is kept for longer than the request
	}
	if keys, ok := r.Header["Idempotency-Key"]; ok && (len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxKey) {
		return bad(http.StatusBadRequest, "Idempotency-Key: one of 1 to %d bytes is possible", maxKey)
	}
	if why = unencoded(r); why == nil {
		why = m.typed(r.Header.Get("Content-Type"))
	}
	return m, why
}

// unencoded refuses a body that is compressed.
func unencoded(r *http.Request) *refusal {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return badRequest(http.StatusUnsupportedMediaType, "Content-Encoding: the body must be sent as it is")
	}
	return nil
}

// typed reads the Content-Type. What says nothing is bytes (RFC 9110, section 8.3).
func (m *message) typed(header string) *refusal {
	if header == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		return badRequest(http.StatusUnsupportedMediaType, "Content-Type: it cannot be read")
	}
	switch kind {
	case "application/json", "text/plain":
		if c, ok := params["charset"]; ok && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
			return badRequest(http.StatusUnsupportedMediaType, "Content-Type: text must be UTF-8")
		}
	case "application/x-www-form-urlencoded", "multipart/form-data":
		// What curl says of -d, and pages of other sites can send unasked.
		return badRequest(http.StatusUnsupportedMediaType, "Content-Type: a form is not taken; say what the body is, application/json for example")
	}
	m.kind = kind
	return nil
}

// read reads the body, at the pace that is asked of clients.
func read(w http.ResponseWriter, r *http.Request, limit int) ([]byte, *refusal) {
	tooLarge := badRequest(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", limit))
	if r.ContentLength > int64(limit) {
		return nil, tooLarge
	}
	rc := http.NewResponseController(w)
	// An error is that of a server which has timeouts of its own, or of the body.
	_ = rc.SetReadDeadline(time.Now().Add(session.Patience(limit)))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	switch _, over := errors.AsType[*http.MaxBytesError](err); {
	case over:
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, badRequest(http.StatusRequestTimeout, "the body took too long")
	case err != nil:
		return nil, badRequest(http.StatusBadRequest, "the body ended too soon")
	}
	_ = rc.SetReadDeadline(time.Time{})
	return body, nil
}

// content makes of a body what is sent.
func (m *message) content(body []byte) (engine.Content, *refusal) {
	switch m.kind {
	case "application/json":
		content, err := session.ReadJSON(body)
		if err != nil {
			return content, badRequest(http.StatusBadRequest, "the body: "+err.Error())
		}
		return content, nil
	case "text/plain":
		if !utf8.Valid(body) {
			return engine.Content{}, badRequest(http.StatusBadRequest, "the body: text is not valid UTF-8")
		}
		return engine.Content{Kind: engine.Text, Data: body}, nil
	}
	return engine.Content{Kind: engine.Binary, Data: body}, nil
}

// publishOnce publishes, unless the request repeats one that was answered.
func (h *Handler) publishOnce(r *http.Request, v *visit, m message, body []byte) (receipt, *refusal) {
	content, why := m.content(body)
	if why != nil {
		return receipt{}, why
	}
	channel, room := r.PathValue("channel"), v.room.Name()
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return h.publish(r, v, channel, m.to, content)
	}
	id := digestOf(room, v.grant.User, key)
	place, known, why := h.answers.begin(id, digestOf(append([]string{channel, m.kind, string(body)}, m.to...)...))
	switch {
	case why != nil:
		return receipt{}, why
	case known:
		return place.answer, nil
	}
	taken, why := h.publish(r, v, channel, m.to, content)
	if why != nil {
		h.answers.end(id, place, nil)
		return receipt{}, why
	}
	h.answers.end(id, place, &taken)
	return taken, nil
}

func (h *Handler) publish(r *http.Request, v *visit, channel string, to []string, content engine.Content) (receipt, *refusal) {
	by := cmp.Or(v.grant.User, network(h.clientIP(r)))
	done, err := v.room.Publish(r.Context(), by, engine.Outgoing{Channel: channel, Content: content, To: to})
	broken, ok := errors.AsType[*engine.RuleError](err)
	switch {
	case ok:
		return receipt{}, breach(broken)
	case errors.Is(err, engine.ErrTooLarge):
		return receipt{}, badRequest(http.StatusRequestEntityTooLarge, "the body: "+err.Error())
	case err != nil:
		return receipt{}, unavailable(err)
	}
	h.published.Add(1)
	taken := receipt{Seq: done.Seq}
	for _, result := range done.Results {
		taken.Results = append(taken.Results, receiptResult{result.Peer, session.Reason(result.Err)})
	}
	return taken, nil
}

// breach is the refusal of a message that breaks a rule of its channel.
func breach(e *engine.RuleError) *refusal {
	why := &refusal{reason: string(session.CodeRule), status: http.StatusUnprocessableEntity, detail: e.Error()}
	switch e.Rule {
	case engine.RuleMaxSize:
		why.status = http.StatusRequestEntityTooLarge
	case engine.RuleRate:
		why.status = http.StatusTooManyRequests
		why.retryAfter = strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))
	}
	return why
}

// digestOf is one for each list of strings.
func digestOf(parts ...string) (d digest) {
	hash := sha256.New()
	var length [8]byte
	for _, part := range parts {
		hash.Write(binary.BigEndian.AppendUint64(length[:0], uint64(len(part))))
		io.WriteString(hash, part)
	}
	hash.Sum(d[:0])
	return d
}
