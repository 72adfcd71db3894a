package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// stranger is the least id there is, of a peer like ours: servers dial it at
// once.
const stranger = "00000000000000000000"

// offersTo are the times of the offers to the stranger, from the first on, in
// seconds.
func offersTo(t *testing.T, net *memnet.Network, answer func(engine.SignalingRoom, engine.Signal)) (announce, bye func(), offers func() []int) {
	var times []time.Time
	var sig engine.SignalingRoom
	ready := make(chan struct{})
	sig, err := net.Endpoint("stranger").Open(engine.AppRoom("demo"), "", func(s engine.Signal) {
		<-ready
		if s.Kind == engine.Offer {
			times = append(times, time.Now())
			answer(sig, s)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	t.Cleanup(sig.Close)
	sig.Host(stranger)
	return func() { sig.Announce(stranger, "") }, func() { sig.Bye(stranger) }, func() (list []int) {
		for _, at := range times {
			list = append(list, int(at.Sub(times[0]).Seconds()))
		}
		return list
	}
}

func TestUnansweredOffersAreRepeatedWhilePeerIsInTheRoster(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		announce, _, offers := offersTo(t, net, func(engine.SignalingRoom, engine.Signal) {})
		announce() // once
		settle(4 * time.Minute)
		// Each is given 15 s, and 1, 2, 4 s pass then. After 65 s of silence the
		// peer is forgotten.
		if got, want := offers(), []int{0, 16, 33, 52}; !slices.Equal(got, want) {
			t.Errorf("offers after %v s, want %v", got, want)
		}
		if s := room.Stats(); s.Remotes != 0 {
			t.Errorf("the room holds %+v", s)
		}
	})
}

func TestRefusedAnswersAreFollowedByNewOffers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		announce, bye, offers := offersTo(t, net, func(sig engine.SignalingRoom, s engine.Signal) {
			sig.Answer("", stranger, s.From, "", "not a description")
		})
		announce()
		settle(40 * time.Second)
		bye()
		settle(time.Minute)
		if got, want := offers(), []int{0, 1, 3, 7, 15, 31}; !slices.Equal(got, want) {
			t.Errorf("offers after %v s, want %v", got, want)
		}
	})
}

// A link between servers that is lost is dialled again when the hold-off is
// over, and the delays begin anew with each link.
func TestLostLinkBetweenServersComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		one := net.Endpoint("one")
		_, r1 := serveAt(t, one, engine.RoomConfig{}, engine.Limits{})
		_, r2 := serve(t, net, "two", engine.RoomConfig{}, engine.Limits{})
		settle(5 * time.Second)
		c := join(t, r1, engine.SeatConfig{Identity: engine.IdentityServer})
		d := join(t, r2, engine.SeatConfig{Identity: engine.IdentityServer})
		for i := range 5 {
			one.Cut()
			settle(time.Second)
			c.send("chat", text("waits"))
			settle(19 * time.Second)
			if got := r1.Stats().Links; got != 0 {
				t.Fatalf("%d links within the hold-off", got)
			}
			settle(2 * time.Second)
			if got := r1.Stats().Links; got != 1 {
				t.Fatalf("%d links after it, cut %d", got, i)
			}
			if got := len(of[*engine.Message](d)); got != i+1 {
				t.Errorf("%d messages after cut %d", got, i)
			}
		}
	})
}
