package genosrtc

import (
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// CausePassword is a cause that only signaling can tell: what the peer sends is sealed
// with another password.
const CausePassword engine.Cause = "password"

// CauseRelays says that the peer was not heard while relays are not connected.
const CauseRelays engine.Cause = "relays"

// Why is what is known of the way between the server and a remote peer.
type Why struct {
	engine.Why
	Sealed time.Time // when it last sent what the room's password does not open
	Down   []string  // relays that are not connected
	Advice string    // what the cause means, and what to do, in words
}

// Why tells why the server's peer in a room has no link with a remote peer, or that it
// has.
func (s *Server) Why(room, peer string) (Why, error) {
	r, err := s.Room(room)
	if err != nil {
		return Why{}, err
	}
	found, err := r.Why(peer)
	if err != nil {
		return Why{}, err
	}
	w := Why{Why: found, Sealed: s.pool.Sealed(engine.AppRoom(room), peer)}
	for _, relay := range s.pool.Status() {
		if relay.State != signaling.Connected {
			w.Down = append(w.Down, relay.URL)
		}
	}
	unheard := w.Cause == engine.CauseUnseen || w.Cause == engine.CauseNoOffer || w.Cause == engine.CauseSilent
	switch {
	case unheard && w.Sealed.After(w.Answered):
		w.Cause, w.Advice = CausePassword, "its offers and answers are sealed with another password than the room's: give the app and the room the same"
	case w.Cause == engine.CauseUnseen && len(w.Down) > 0:
		w.Cause, w.Advice = CauseRelays, "nothing was heard of this peer, and these relays are not connected: "+strings.Join(w.Down, ", ")
	default:
		w.Advice = w.Explain()
	}
	return w, nil
}
