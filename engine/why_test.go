package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func serverPeer(room *engine.Room) string {
	peers := room.Peers()
	return peers[slices.IndexFunc(peers, func(p engine.Peer) bool { return p.Type == engine.TypeServer })].ID
}

// Why finds the cause of what was staged, and has a sentence for it.
func TestWhy(t *testing.T) {
	for name, test := range map[string]struct {
		cfg    engine.RoomConfig
		limits engine.Limits
		stage  func(t *testing.T, net *memnet.Network, room *engine.Room) (peer string)
		want   engine.Cause
	}{
		"nobody": {want: engine.CauseUnseen, stage: func(*testing.T, *memnet.Network, *engine.Room) string { return "AAAA" }},
		"another password": {want: engine.CauseNoOffer, cfg: engine.RoomConfig{Password: "one"}, stage: func(t *testing.T, net *memnet.Network, _ *engine.Room) string {
			openPage(t, net, "load", "AAAA", "demo", "two")
			settle(5 * time.Second)
			return "AAAA"
		}},
		"linked": {want: engine.CauseLinked, stage: func(t *testing.T, net *memnet.Network, _ *engine.Room) string {
			openPage(t, net, "load", "AAAA", "demo", "")
			settle(5 * time.Second)
			return "AAAA"
		}},
		"kicked": {want: engine.CauseKicked, stage: func(t *testing.T, net *memnet.Network, room *engine.Room) string {
			openPage(t, net, "load", "AAAA", "demo", "")
			settle(5 * time.Second)
			if err := room.Kick("AAAA", time.Hour); err != nil {
				t.Error(err)
			}
			settle(time.Second)
			return "AAAA"
		}},
		"left": {want: engine.CauseUnseen, stage: func(t *testing.T, net *memnet.Network, _ *engine.Room) string {
			p := openPage(t, net, "load", "AAAA", "demo", "")
			settle(5 * time.Second)
			p.leave()
			settle(time.Second)
			return "AAAA"
		}},
		"announces only": {want: engine.CauseNoOffer, stage: func(t *testing.T, net *memnet.Network, _ *engine.Room) string {
			sig, _ := rawSignals(t, net)
			sig.Announce("AAAA", "")
			settle(time.Second)
			return "AAAA"
		}},
		"no answer": {want: engine.CauseSilent, stage: func(t *testing.T, net *memnet.Network, _ *engine.Room) string {
			sig, _ := rawSignals(t, net)
			sig.Announce(stranger, "")
			settle(17 * time.Second)
			return stranger
		}},
		"offer that cannot be read": {want: engine.CauseSDP, stage: func(t *testing.T, net *memnet.Network, room *engine.Room) string {
			sig, _ := rawSignals(t, net)
			sig.Offer("", "AAAA", serverPeer(room), "", "not a description")
			settle(time.Second)
			return "AAAA"
		}},
		"no way": {want: engine.CausePath, stage: func(t *testing.T, net *memnet.Network, room *engine.Room) string {
			sig, _ := rawSignals(t, net)
			_, sdp, err := net.Endpoint("somebody else").Offer(context.Background(), nopHandler{})
			if err != nil {
				t.Error(err)
			}
			sig.Offer("", "AAAA", serverPeer(room), "", sdp)
			settle(20 * time.Second)
			return "AAAA"
		}},
		"too many links": {want: engine.CauseFull, limits: engine.Limits{Links: 1}, stage: func(t *testing.T, net *memnet.Network, room *engine.Room) string {
			openPage(t, net, "load 1", "AAAA", "demo", "")
			settle(5 * time.Second)
			openPage(t, net, "load 2", "BBBB", "demo", "")
			settle(5 * time.Second)
			return "BBBB"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, net *memnet.Network) {
				_, room := serve(t, net, "server", test.cfg, test.limits)
				settle(time.Second)
				peer := test.stage(t, net, room)
				why, err := room.Why(peer)
				if err != nil || why.Cause != test.want || why.Explain() == string(why.Cause) {
					t.Errorf("%+v, %v; want %s", why, err, test.want)
				}
			})
		})
	}
}
