package genosrtc

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// Who handles events slowly holds nobody up, and loses some, which are counted. A flood of
// refusals leaves place for others.
func TestSlowEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		handled := make(map[string]int)
		q := newEvents(func(e Event) {
			<-free
			handled[e.Name]++
		})
		q.emit(Event{Name: RoomOpened})
		synctest.Wait() // it is being handled
		for range 10 * eventsWaiting {
			q.refused(handler.Refused{Reason: "room"})
		}
		for range eventsWaiting {
			q.presence("demo", engine.PeerJoin, engine.Peer{ID: "a"})
		}
		if n := q.lost(); n != 10*eventsWaiting {
			t.Errorf("%d are lost", n)
		}
		close(free)
		synctest.Wait()
		if handled[SessionRefused] != eventsWaiting/2 || handled[PeerJoined] != eventsWaiting/2 {
			t.Errorf("handled %v", handled)
		}
		q.close(t.Context())
	})
}

func TestNobodyWantsEvents(t *testing.T) {
	var q *events = newEvents(nil)
	q.emit(Event{})
	q.presence("demo", engine.PeerJoin, engine.Peer{})
	q.close(t.Context())
	if q.lost() != 0 {
		t.Error("events were lost that nobody wanted")
	}
}

// Trouble with the disk is told when it begins, once.
func TestStoreTrouble(t *testing.T) {
	told := make(chan Event, 10)
	s, err := New(Config{UDP: "127.0.0.1:0", Storage: t.TempDir(), Logger: slog.New(slog.DiscardHandler), OnEvent: func(e Event) { told <- e }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) }) // the store is closed already
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if e := <-told; e.Name != StoreTrouble || !strings.Contains(e.Reason, "sessions are not written") {
		t.Errorf("%+v", e)
	}
	if trouble := s.Trouble(); len(trouble) != 1 {
		t.Errorf("trouble: %q", trouble)
	}
	if now := s.tellStore("something else"); now != s.tellStore(now) || len(told) > 1 {
		t.Errorf("it is told again: %d", len(told))
	}
}
