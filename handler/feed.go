package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

const (
	// heartbeatEvery is the longest silence on a stream. Proxies end connections
	// after a minute of it, some after 30 s.
	heartbeatEvery = 20 * time.Second
	// retryLeast and retryMost bound the time after which a reader connects again:
	// each is told another, so that not all come at once.
	retryLeast, retryMost = time.Second, 3 * time.Second
)

// feed is what a stream tells of.
type feed interface {
	// begin appends what comes first.
	begin(*stream) error
	// next waits until there is something to tell.
	next(context.Context) error
	// write appends that; of much it may send pieces.
	write(*stream) error
	// position is the id from which a reader goes on that has all of it.
	position() uint64
	Close()
}

// opener opens a feed, which ends with its context.
type opener func(context.Context) (feed, error)

// serveStream answers with a stream of events, until it ends. What it is to tell of,
// prepare finds in the request.
func (h *Handler) serveStream(w http.ResponseWriter, r *http.Request, prepare func(*visit) (opener, *refusal)) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	// What is held is what the stream goes by, also if the settings change now.
	held := h.hold(v.room)
	defer held.release()
	grant, fault := held.admit(v.shown)
	if fault != nil {
		h.turnAway(w, r, v.set.unauthorized(held.door(), fault))
		return
	}
	v.grant = grant
	open, why := prepare(v)
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
		h.turnAway(w, r, why)
		return
	}
	defer h.release(key)
	f, err := open(r.Context())
	if err != nil {
		h.refuse(w, unavailable(err))
		return
	}
	defer f.Close()
	h.opened.Add(1)
	log := h.log.With("room", v.room.Name(), "address", address)
	s := newStream(w, r)
	defer s.end()
	err = h.stream(s, r, v, f, held.ctx)
	if errors.Is(err, engine.ErrSlow) {
		h.slowStreams.Add(1)
		log.Info("slow stream of events cut off", "reason", err)
		return
	}
	log.Debug("stream of events ended", "reason", err)
}

// resumed returns the id of the last event that a reader has, if it names one.
func resumed(r *http.Request, query url.Values) (after uint64, ok bool, why *refusal) {
	// EventSource cannot set the header, where a new ticket needs a new URL.
	id := cmp.Or(r.Header.Get("Last-Event-ID"), query.Get("after"))
	if id == "" {
		return 0, false, nil
	}
	after, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return 0, false, unknownEvent
	}
	return after, true, nil
}

var unknownEvent = badRequest(http.StatusBadRequest, "Last-Event-ID: it must be the id of an event of this room")

// stream writes events until the client or the server goes, the grant expires or
// held ends, with a *session.Error as its cause, or the client is too slow. It
// returns why.
func (h *Handler) stream(s *stream, r *http.Request, v *visit, f feed, held context.Context) error {
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
	s.retry(retryLeast + rand.N(retryMost-retryLeast))
	if err := f.begin(s); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	for {
		err := next(ctx, f)
		switch {
		case err == nil:
			err = f.write(s)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			s.heartbeat(f.position())
			err = nil
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
		if err == nil && len(s.buf) > 0 {
			err = s.flush()
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

// next waits for what a feed has, but not for longer than a stream may be silent.
func next(ctx context.Context, f feed) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatEvery)
	defer cancel()
	return f.next(ctx)
}
