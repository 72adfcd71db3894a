package handler

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// serveGraphEvents is a stream of a graph's changes, until it ends.
func (h *Handler) serveGraphEvents(w http.ResponseWriter, r *http.Request) {
	h.serveStream(w, r, func(v *visit) (opener, *refusal) {
		m, why := v.graph(r.Method)
		if why != nil {
			return nil, why
		}
		f, why := h.watching(r, v, m)
		return func(context.Context) (feed, error) { return f, nil }, why
	})
}

// graphFeed is the changes of a graph. It keeps nothing of what it told: a node that
// the filter does not select is told of as removed, since it may have been selected
// before.
type graphFeed struct {
	m      *engine.Memory
	room   string
	log    *slog.Logger
	prefix string
	filter *graph.Filter // nil: any
	after  uint64        // all up to it was told
	head   uint64        // of the graph, when the feed began
	// whole: it began with the whole graph, so that the reader has nothing of what
	// is removed by then.
	whole   bool
	current bool // the reader was told that it has all up to head
	batch   []graph.Entry
}

// watching is what a request wants to hear of a graph.
func (h *Handler) watching(r *http.Request, v *visit, m *engine.Memory) (*graphFeed, *refusal) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "the query cannot be read: "+err.Error())
	}
	f := &graphFeed{m: m, room: v.room.Name(), log: h.log, prefix: query.Get("prefix"), head: m.Head()}
	after, ok, why := resumed(r, query)
	if why == nil {
		f.filter, why = filtered(query)
	}
	if f.after = after; !ok {
		f.after = f.head
	}
	f.whole = f.after == 0
	if why == nil && f.after > f.head {
		why = unknownEvent
	}
	return f, why
}

func (f *graphFeed) Close() {}

func (f *graphFeed) position() uint64 { return f.after }

// begin says where the stream begins, so that one who loses the connection before
// the first change goes on from there.
func (f *graphFeed) begin(s *stream) error {
	if f.after >= f.head {
		f.tellCurrent(s)
	} else {
		s.heartbeat(f.after)
	}
	return nil
}

// next waits for changes that the reader is to be told.
func (f *graphFeed) next(ctx context.Context) error {
	f.batch = f.batch[:0]
	for len(f.batch) == 0 && (f.current || f.after < f.head) {
		if err := ctx.Err(); err != nil {
			return err
		}
		changes, err := f.m.Changes(ctx, f.after)
		switch {
		case err != nil && ctx.Err() == nil && !errors.Is(err, engine.ErrClosed):
			f.log.Error("the graph of a room cannot be read", "room", f.room, "error", err)
			return errDisk
		case err != nil:
			return err
		}
		for _, e := range changes {
			f.after = e.Seq
			if f.tells(&e) {
				f.batch = append(f.batch, e)
			}
		}
	}
	return nil
}

// tells tells whether the reader is to hear of a change, and makes one by which the
// filter does not select a node, or not any more, a removal.
func (f *graphFeed) tells(e *graph.Entry) bool {
	if !strings.HasPrefix(e.ID, f.prefix) {
		return false
	}
	if !e.Removed && f.filter != nil {
		e.Removed = !f.filter.Match(e.Value)
	}
	return !e.Removed || !f.whole || e.Seq > f.head
}

func (f *graphFeed) write(s *stream) error {
	defer clear(f.batch)
	for _, e := range f.batch {
		if e.Seq > f.head {
			f.tellCurrent(s)
		}
		if e.Removed {
			s.event("removed", e.Seq, appendRemoved(nil, &e))
		} else {
			s.event("node", e.Seq, appendNode(nil, &e))
		}
		if err := s.flushPiece(); err != nil {
			return err
		}
	}
	if f.after >= f.head {
		f.tellCurrent(s)
	}
	return nil
}

// tellCurrent tells once that the reader has all that there was when the feed began.
func (f *graphFeed) tellCurrent(s *stream) {
	if f.current {
		return
	}
	f.current = true
	if f.head == 0 {
		s.buf = append(s.buf, "id: 0\n"...) // of an empty graph this is a place too
	}
	s.event("current", f.head, append(appendString([]byte(`{"room":`), f.room), '}'))
}
