package handler

import (
	"errors"
	"net/http"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// door is a room that a request names and may enter, if its credentials are good.
type door struct {
	name string
	room *engine.Room // nil: it is opened on demand, and has no password
}

// locked tells whether the room has a password.
func (d door) locked() bool { return !d.check("") }

func (d door) check(password string) bool { return d.room == nil || d.room.CheckPassword(password) }

// door finds the room of a request, and judges where that comes from.
func (h *Handler) door(r *http.Request, set *settings) (door, *refusal) {
	name := r.PathValue("room")
	room, open := h.engine.Room(name)
	switch {
	case set.rooms != nil && !set.rooms(name), set.rooms == nil && !open && h.openRoom == nil:
		return door{}, unknownRoom
	case !set.allows(r):
		return door{}, foreignOrigin
	case open:
		return door{name, room}, nil
	case h.openRoom == nil:
		return door{}, starting
	}
	return door{name: name}, nil
}

const (
	// openRate and openBurst bound the rooms that an address has opened on demand,
	// in a second and at once: each costs signaling, and may end another that is
	// not used yet.
	openRate  = 1
	openBurst = 20
	// maxOpeners is the number of addresses that a pace is known of. Who did nothing
	// for longest is forgotten first.
	maxOpeners = 4096
)

// paces are the rates at which addresses do something, such as opening rooms.
type paces struct {
	known *lru.Cache[string, *rate.Limiter]
	rate  rate.Limit // in a second
	burst int        // at once
}

func newPaces(every rate.Limit, burst int) paces {
	known, err := lru.New[string, *rate.Limiter](maxOpeners)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return paces{known, every, burst}
}

// allow tells whether an address may do it once more.
func (p paces) allow(network string) bool {
	limiter := rate.NewLimiter(p.rate, p.burst)
	if known, ok, _ := p.known.PeekOrAdd(network, limiter); ok {
		limiter = known
	}
	p.known.Get(network) // it is used
	return limiter.Allow()
}

// enter returns the room behind a door, for a client whose credentials are good.
func (h *Handler) enter(d door, network string) (*engine.Room, *refusal) {
	if d.room != nil {
		return d.room, nil
	}
	if !h.openers.allow(network) {
		return nil, tooManyOpened
	}
	room, err := h.openRoom(d.name)
	switch {
	case err == nil:
		return room, nil
	case errors.Is(err, ErrTooManyRooms):
		return nil, tooManyRooms
	case errors.Is(err, ErrNoRoom) && h.settings.Load().rooms == nil:
		return nil, unknownRoom
	case !errors.Is(err, ErrNoRoom) && !errors.Is(err, engine.ErrClosed):
		h.log.Error("a room cannot be opened", "room", d.name, "error", err)
	}
	return nil, starting
}
