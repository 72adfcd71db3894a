package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

const (
	// announceEvery is how often a browser announces itself in each of its two
	// rooms (docs/protocol.md, "Signaling").
	announceEvery = 2500 * time.Millisecond
	// probeEvery is how often one of the peers, by turns, says something more,
	// so that there is something to take a percentile of.
	probeEvery = 100 * time.Millisecond
)

// rooms are those that a database names.
var rooms = []string{engine.AppRoom(ownrelay.Database), engine.SyncRoom(ownrelay.Database)}

// announce is what an honest peer says.
type announce struct {
	at    time.Duration // after the start
	peer  int
	event browser.Event
}

func peerName(i int) string { return fmt.Sprintf("honest%014d", i) }

// newScript signs everything that honest peers say within a time, in order.
func newScript(peers int, length time.Duration) ([]announce, error) {
	var script []announce
	start := time.Now()
	keys := make([]string, peers)
	for i := range keys {
		keys[i] = nostr.GeneratePrivateKey()
	}
	say := func(at time.Duration, peer int, room string) error {
		// The number keeps events of the same second apart.
		content := fmt.Sprintf(`{"peerId":%q,"n":%d}`, peerName(peer), len(script))
		event, err := browser.NewEvent(keys[peer], signaling.RootTopic(room), content, start.Add(at))
		script = append(script, announce{at, peer, event})
		return err
	}
	for i := range peers {
		for at := announceEvery * time.Duration(i) / time.Duration(peers); at < length; at += announceEvery {
			for _, room := range rooms {
				if err := say(at, i, room); err != nil {
					return nil, err
				}
			}
		}
	}
	for n := 0; time.Duration(n)*probeEvery < length; n++ {
		if err := say(time.Duration(n)*probeEvery, n%peers, rooms[n%len(rooms)]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(script, func(a, b announce) int { return cmp.Compare(a.at, b.at) })
	return script, nil
}
