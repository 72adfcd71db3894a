package genosrtc

import (
	"errors"
	"slices"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// why waits until a cause is found.
func (p *place) why(peer string, cause engine.Cause) (w Why) {
	p.t.Helper()
	testclient.Eventually(p.t, string(cause), func() bool {
		var err error
		if w, err = p.server.Why("demo", peer); err != nil {
			p.t.Fatal(err)
		}
		return w.Cause == cause
	})
	if w.Advice == "" {
		p.t.Errorf("%s comes without advice", cause)
	}
	return w
}

// id is that of the server's peer.
func (p *place) id() string {
	peers := p.room.Peers()
	return peers[slices.IndexFunc(peers, func(peer engine.Peer) bool { return peer.Type == engine.TypeServer })].ID
}

// Two servers with another password for the room hear each other's announces, and one
// offers the other a link.
func TestWhyNamesAnotherPassword(t *testing.T) {
	one, two := newPlace(t), newPlace(t)
	one.password, two.password = "this", "that"
	one.start(two)
	if w := one.why("nobody", CauseRelays); len(w.Down) != 1 {
		t.Errorf("down are %q", w.Down)
	}
	two.start(one)
	if one.id() > two.id() { // the greater one offers
		one, two = two, one
	}
	if w := one.why(two.id(), CausePassword); w.Sealed.IsZero() {
		t.Error("nobody knows when")
	}
	if _, err := one.server.Why("nowhere", "x"); !errors.Is(err, handler.ErrNoRoom) {
		t.Error(err)
	}
}

func TestWhyTellsOfALink(t *testing.T) {
	one, two := newPlace(t), newPlace(t)
	one.start(two)
	two.start(one)
	w := one.why(two.id(), engine.CauseLinked)
	if w.Answered.IsZero() || w.Opened.IsZero() || w.Candidates["host"] == 0 || w.Relay == "" {
		t.Errorf("%+v", w)
	}
	one.why("nobody", engine.CauseUnseen)
}
