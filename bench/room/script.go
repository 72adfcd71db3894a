package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/browser"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/ownrelay"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

// announceEvery is how often a browser announces itself in each of its two rooms
// (docs/protocol.md, "Signaling").
const announceEvery = 2500 * time.Millisecond

// rooms are those that a database names.
var rooms = []string{engine.AppRoom(ownrelay.Database), engine.SyncRoom(ownrelay.Database)}

// script is what everybody says, and when.
type script struct {
	names     []string // peer ids
	announces []announce
}

type announce struct {
	at    time.Duration // after the start
	peer  int
	room  string
	event browser.Event
}

// newScript signs what so many peers announce within a time. Each began at a
// moment of its own; its two rooms are announced together. The events are dated
// as if the script was begun now.
func newScript(peers int, length time.Duration) (*script, error) {
	s, start := &script{}, time.Now()
	keys := make([]string, peers)
	random := rand.New(rand.NewPCG(1, uint64(peers)))
	for i := range peers {
		s.names = append(s.names, fmt.Sprintf("bench%015d", i))
		keys[i] = nostr.GeneratePrivateKey()
		for at := time.Duration(random.Int64N(int64(announceEvery))); at < length; at += announceEvery {
			for _, room := range rooms {
				s.announces = append(s.announces, announce{at: at, peer: i, room: room})
			}
		}
	}
	slices.SortFunc(s.announces, func(a, b announce) int { return cmp.Compare(a.at, b.at) })

	errs := make([]error, len(s.announces))
	var signers sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		signers.Go(func() {
			for i := w; i < len(s.announces); i += workers {
				a := &s.announces[i]
				topic := signaling.RootTopic(a.room)
				a.event, errs[i] = browser.NewEvent(keys[a.peer], topic, `{"peerId":"`+s.names[a.peer]+`"}`, start.Add(a.at))
			}
		})
	}
	signers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}
