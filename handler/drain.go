package handler

import (
	"math/rand/v2"
	"time"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// drain is the end of all that is held, each after a time of its own.
type drain struct{ until time.Time }

// end has something held end by chance before the drain does. Handler.mu is held.
func (d *drain) end(e *held) {
	left := max(time.Until(d.until), time.Millisecond)
	e.leaving = time.AfterFunc(rand.N(left), func() { e.revoke(session.Draining) })
}

// Drain has new sessions, streams of events and POSTs be refused with 503 until
// Undrain, and those that are open end with 1012, spread evenly over a time, so that
// not all of their clients come to another server at once. It does not wait, and
// begins anew with another time if it was called before.
func (h *Handler) Drain(over time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = &drain{time.Now().Add(over)}
	for e := range h.held {
		if e.leaving == nil || e.leaving.Stop() {
			h.draining.end(e)
		}
	}
}

// Undrain ends a drain. Who was not told yet stays.
func (h *Handler) Undrain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = nil
	for e := range h.held {
		if e.leaving != nil && e.leaving.Stop() {
			e.leaving = nil
		}
	}
}
