package handler

import (
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

const (
	// ticketTime is how long a ticket can be used.
	ticketTime = 30 * time.Second
	// maxTickets bounds those that nobody has used yet, of all clients and of one
	// address. Of the latter the oldest is forgotten for a new one; with the
	// former no new ones are given out.
	maxTickets           = 10_000
	maxTicketsPerAddress = 64
)

// tickets are those that can be used: once, soon, and for the room that they
// were given out for. They stand in URLs, for requests that can carry no header:
// a browser's EventSource.
type tickets struct {
	mu        sync.Mutex
	byID      map[string]*ticket
	byAddress map[string][]*ticket // oldest first
}

// ticket stands for the credentials that it was given out for.
type ticket struct {
	id      string
	room    *engine.Room
	shown   credentials
	address string
	timer   *time.Timer
}

// add makes a ticket, unless there are too many.
func (ts *tickets) add(room *engine.Room, shown credentials, address string) (id string, ok bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if own := ts.byAddress[address]; len(own) >= maxTicketsPerAddress {
		ts.remove(own[0])
	}
	if len(ts.byID) >= maxTickets {
		return "", false
	}
	t := &ticket{id: rand.Text(), room: room, shown: shown, address: address}
	t.timer = time.AfterFunc(ticketTime, func() { ts.use(t.id) })
	if ts.byID == nil {
		ts.byID, ts.byAddress = make(map[string]*ticket), make(map[string][]*ticket)
	}
	ts.byID[t.id] = t
	ts.byAddress[address] = append(ts.byAddress[address], t)
	return t.id, true
}

// use takes a ticket out of use, and returns it, or nil if there is none.
func (ts *tickets) use(id string) *ticket {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byID[id]
	if t != nil {
		ts.remove(t)
	}
	return t
}

// remove needs the lock.
func (ts *tickets) remove(t *ticket) {
	t.timer.Stop()
	delete(ts.byID, t.id)
	own := slices.DeleteFunc(ts.byAddress[t.address], func(other *ticket) bool { return other == t })
	if ts.byAddress[t.address] = own; len(own) == 0 {
		delete(ts.byAddress, t.address)
	}
}

var (
	badTicket      = &session.Error{Code: session.CodeToken, Text: "the ticket was used, is too old, or is for another room"}
	tooManyTickets = &refusal{
		reason: "tickets", status: http.StatusServiceUnavailable, retryAfter: "10",
		detail: "too many tickets are waiting to be used",
	}
)

// serveTicket gives out a ticket for a room (docs/gateway.md, "Credentials").
func (h *Handler) serveTicket(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodPost)
	if !ok {
		return
	}
	if r.URL.Query().Has("ticket") {
		h.refuse(w, badRequest(http.StatusBadRequest, "a ticket is good for no other ticket: show the credentials themselves"))
		return
	}
	id, ok := h.tickets.add(v.room, v.shown, network(h.clientIP(r)))
	if !ok {
		h.refuse(w, tooManyTickets)
		return
	}
	respond(w, http.StatusCreated, struct {
		Ticket  string `json:"ticket"`
		Expires int    `json:"expires"` // seconds
	}{id, int(ticketTime.Seconds())})
}
