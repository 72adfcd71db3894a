package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

const maxChannels = 100 // that a reader can name

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
	h.serveStream(w, r, func(v *visit) (opener, *refusal) {
		cfg, why := v.reading(r)
		return func(ctx context.Context) (feed, error) {
			reader, err := v.room.Read(ctx, cfg)
			return &roomFeed{Reader: reader, v: v, resume: cfg.Resume}, err
		}, why
	})
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
	var why *refusal
	cfg.After, cfg.Resume, why = resumed(r, query)
	return cfg, why
}

// roomFeed is a room's messages.
type roomFeed struct {
	*engine.Reader
	v      *visit
	resume bool
	batch  []engine.Event
}

func (f *roomFeed) position() uint64 { return f.Position() }

func (f *roomFeed) next(ctx context.Context) (err error) {
	f.batch, err = f.Next(ctx, f.batch[:0])
	return err
}

func (f *roomFeed) write(s *stream) error {
	defer clear(f.batch)
	for _, e := range f.batch {
		switch e := e.(type) {
		case *engine.Message:
			s.event("", e.Seq, session.EncodeMessage(session.JSON, e))
		case engine.PeerEvent:
			s.event("peer", 0, session.EncodePeer(session.JSON, e))
		}
		if err := s.flushPiece(); err != nil {
			return err
		}
	}
	return nil
}

// begin appends the welcome. Its id is where the reader is, so that one who loses
// the connection before the first message goes on from there.
func (f *roomFeed) begin(s *stream) error {
	v, reader := f.v, f.Reader
	welcome := streamWelcome{
		Op: string(session.OpWelcome), roomDocument: roomDocument{Room: v.room.Name(), Peers: documentPeers(reader.Peers)},
		User: v.grant.User, Resumed: f.resume && reader.Missed == nil,
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
	s.event("welcome", reader.Position(), data)
	return nil
}
