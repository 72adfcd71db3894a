package session

import (
	"context"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// maxWatches is the number of watches that a session may have.
const maxWatches = 16

// watcher tells the client of the graph's changes. What the client does not read
// waits in the graph.
type watcher struct {
	session *session
	memory  *engine.Memory
	id      uint64
	prefix  string
	after   uint64 // the Seq of the last change that was told
	head    uint64 // of the graph, when the watch began
	whole   bool   // it began with the whole graph
}

// watch begins a watch. Its error is an *Error.
func (s *session) watch(memory *engine.Memory, m *Message) error {
	switch {
	case s.watches[m.ID] != nil:
		return fault(CodeBadMessage, "watch: id: %d is a watch already", m.ID)
	case len(s.watches) == maxWatches:
		return fault(CodeTooMany, "watch: there are %d already", maxWatches)
	}
	w := &watcher{session: s, memory: memory, id: m.ID, prefix: m.Prefix, head: memory.Head()}
	w.after = w.head
	if m.After != nil {
		w.after = *m.After
		if w.after > w.head { // of a graph that was lost
			w.after = 0
		}
		w.whole = w.after == 0
	}
	ctx, cancel := context.WithCancel(s.ctx)
	if s.watches == nil {
		s.watches = make(map[uint64]context.CancelFunc)
	}
	s.watches[m.ID] = cancel
	s.tasks.Go(func() { w.run(ctx) })
	return nil
}

func (s *session) unwatch(id uint64) {
	if cancel := s.watches[id]; cancel != nil {
		cancel()
		delete(s.watches, id)
	}
}

// run tells of changes until ctx ends. It says once that the client is up to date.
func (w *watcher) run(ctx context.Context) {
	s := w.session
	for current := false; ; {
		if !current && w.after >= w.head {
			current = true
			if !s.tell(ctx, [][]byte{s.Codec.Encode(&Message{Op: OpWatch, ID: w.id, Seq: w.after})}) {
				return
			}
		}
		if err := w.tellChanges(ctx); err != nil {
			if ctx.Err() == nil {
				s.end(seatEnd(err, s.Limits.Pending)) // the client comes back, and resumes
			}
			return
		}
	}
}

// tellChanges waits for changes, and tells of some. One watch of the session does so
// at a time: changes that wait for others to be told are not kept in memory.
func (w *watcher) tellChanges(ctx context.Context) error {
	s := w.session
	entries, err := w.memory.Changes(ctx, w.after)
	if err != nil {
		return err
	}
	select {
	case s.telling <- struct{}{}:
	default:
		entries = nil
		select {
		case s.telling <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.telling }()
	if entries == nil {
		if entries, err = w.memory.Changes(ctx, w.after); err != nil {
			return err
		}
	}
	for len(entries) > 0 {
		var piece [][]byte
		if piece, entries = w.piece(entries); len(piece) > 0 && !s.tell(ctx, piece) {
			return ctx.Err()
		}
	}
	return nil
}

// piece encodes the first entries, as many as are written at once, and returns the
// others.
func (w *watcher) piece(entries []graph.Entry) (piece [][]byte, rest []graph.Entry) {
	for size := 0; len(entries) > 0 && len(piece) < writeCount && size < writeBytes; entries = entries[1:] {
		e := entries[0]
		w.after = e.Seq
		// Who begins with nothing has nothing that could have been removed.
		if !strings.HasPrefix(e.ID, w.prefix) || w.whole && e.Removed && e.Seq <= w.head {
			continue
		}
		raw := w.session.Codec.Encode(nodeMessage(w.id, e))
		piece = append(piece, raw)
		size += len(raw)
	}
	return piece, entries
}
