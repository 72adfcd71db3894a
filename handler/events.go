package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

const (
	// heartbeatEvery is the longest silence on a stream. Proxies end connections
	// after a minute of it, some after 30 s.
	heartbeatEvery = 20 * time.Second
	// retryLeast and retryMost bound the time after which a reader connects again:
	// each is told another, so that not all come at once.
	retryLeast, retryMost = time.Second, 3 * time.Second
	maxChannels           = 100 // that a reader can name
)

// streamWelcome is the first event of a stream (docs/gateway.md, "Server-Sent
// Events").
type streamWelcome struct {
	Op string `json:"op"`
	roomDocument
	User    string `json:"user,omitempty"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason,omitempty"`
}

// serveEvents is a stream of a room's messages, until it ends.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	// What is held is what the stream goes by, also if the settings change now.
	held := h.hold(v.room)
	defer held.release()
	grant, fault := held.admit(v.shown)
	if fault != nil {
		h.refuse(w, v.set.unauthorized(held.door(), fault))
		return
	}
	v.grant = grant
	cfg, why := v.reading(r)
	if why != nil {
		h.refuse(w, why)
		return
	}
	if r.Method == http.MethodHead {
		streamHeader(w.Header())
		return
	}
	address := h.clientIP(r)
	key := network(address)
	if why := h.admit(key, v.set.limits); why != nil {
		h.refuse(w, why)
		return
	}
	defer h.release(key)
	reader, err := v.room.Read(r.Context(), cfg)
	if err != nil {
		h.refuse(w, unavailable(err))
		return
	}
	defer reader.Close()
	h.opened.Add(1)
	log := h.log.With("room", v.room.Name(), "address", address)
	s := newStream(w, r)
	defer s.end()
	err = h.stream(s, r, v, reader, held.ctx, cfg.Resume)
	if errors.Is(err, engine.ErrSlow) {
		h.slowStreams.Add(1)
		log.Info("slow stream of events cut off", "reason", err)
		return
	}
	log.Debug("stream of events ended", "reason", err)
}

// reading is what a request wants to read.
func (v *visit) reading(r *http.Request) (engine.ReaderConfig, *refusal) {
	cfg := engine.ReaderConfig{Pending: v.set.limits.Pending}
	bad := func(format string, args ...any) (engine.ReaderConfig, *refusal) {
		return cfg, badRequest(http.StatusBadRequest, fmt.Sprintf(format, args...))
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the query cannot be read: %v", err)
	}
	channels := query["channel"]
	if len(channels) > maxChannels {
		return bad("channel: %d are named, at most %d can be; without it all are read", len(channels), maxChannels)
	}
	for _, c := range channels {
		if !engine.ValidChannel(c) {
			return bad("channel: %d bytes; %v", len(c), engine.ErrChannelName)
		}
		if !v.grant.MaySubscribe(c) {
			return cfg, forbiddenChannel
		}
	}
	cfg.Channels = func(c string) bool {
		return (len(channels) == 0 || slices.Contains(channels, c)) && v.grant.MaySubscribe(c)
	}
	if n := query.Get("history"); n != "" {
		history, err := strconv.ParseUint(n, 10, 32)
		if err != nil {
			return bad("history: it must be a number of messages")
		}
		cfg.History = int(min(history, engine.MaxHistory))
	}
	// EventSource cannot set the header, where a new ticket needs a new URL.
	if id := cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("after")); id != "" {
		if cfg.After, err = strconv.ParseUint(id, 10, 64); err != nil {
			return bad("Last-Event-ID: it must be the id of an event of this room")
		}
		cfg.Resume = true
	}
	return cfg, nil
}

// stream writes events until the client or the server goes, the grant expires or
// held ends, with a *session.Error as its cause, or the client is too slow. It
// returns why.
func (h *Handler) stream(s *stream, r *http.Request, v *visit, reader *engine.Reader, held context.Context, resume bool) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, func() { cancel(); s.hurry(farewellTime) })()
	defer context.AfterFunc(h.killed, func() { s.hurry(0) })()
	defer context.AfterFunc(held, cancel)()
	if !v.grant.Expires.IsZero() {
		expiring, stop := context.WithDeadline(ctx, v.grant.Expires)
		defer stop()
		ctx = expiring
	}
	if err := s.welcome(v, reader, resume); err != nil {
		return err
	}
	var batch []engine.Event
	for {
		var err error
		batch, err = nextEvents(ctx, reader, batch[:0])
		switch {
		case err == nil:
			err = s.events(batch)
			clear(batch)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			s.heartbeat(reader.Position())
			err = s.flush()
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			err = errors.New("the credentials have expired")
			fallthrough
		default:
			err = cmp.Or(context.Cause(held), err)
			if r.Context().Err() == nil {
				s.comment(lastWords(h.ctx, err))
				_ = s.flush() // the client may have gone
			}
			return err
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%w: it does not take what is written", engine.ErrSlow)
		}
		if err != nil {
			return fmt.Errorf("write to the client: %w", err)
		}
	}
}

// lastWords say to a reader why the stream ends.
func lastWords(server context.Context, err error) string {
	if server.Err() != nil {
		return "the server is stopping"
	}
	return err.Error()
}

// nextEvents waits for events, but not for longer than a stream may be silent.
func nextEvents(ctx context.Context, reader *engine.Reader, batch []engine.Event) ([]engine.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeatEvery)
	defer cancel()
	return reader.Next(ctx, batch)
}

// welcome is the first event. Its id is where the reader is, so that one who loses
// the connection before the first message goes on from there.
func (s *stream) welcome(v *visit, reader *engine.Reader, resume bool) error {
	welcome := streamWelcome{
		Op: string(session.OpWelcome), roomDocument: roomDocument{v.room.Name(), documentPeers(reader.Peers)},
		User: v.grant.User, Resumed: resume && reader.Missed == nil,
	}
	switch {
	case errors.Is(reader.Missed, engine.ErrOverflow):
		welcome.Reason = "overflow"
	case reader.Missed != nil:
		welcome.Reason = "unknown"
	}
	data, err := json.Marshal(welcome)
	if err != nil {
		return fmt.Errorf("encode the welcome: %w", err)
	}
	s.retry(retryLeast + rand.N(retryMost-retryLeast))
	s.event("welcome", reader.Position(), data)
	return s.flush()
}

// events writes what a reader has heard.
func (s *stream) events(batch []engine.Event) error {
	for _, e := range batch {
		switch e := e.(type) {
		case *engine.Message:
			s.event("", e.Seq, session.EncodeMessage(session.JSON, e))
		case engine.PeerEvent:
			s.event("peer", 0, session.EncodePeer(session.JSON, e))
		}
		if len(s.buf) >= streamPiece {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	if len(s.buf) == 0 {
		return nil
	}
	return s.flush()
}
