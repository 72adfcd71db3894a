package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/gobwas/ws"
	"github.com/nbd-wtf/go-nostr"
)

// repeat sends frames as fast as they are taken, until the connection ends.
func repeat(conn *wsload.Conn, frame func() []byte) {
	for conn.Send(frame()) == nil {
	}
}

// badSignatures sends events that are right but for their signature, each
// another, so that each has to be verified.
func (a *attackers) badSignatures(ctx context.Context, from string) {
	topic := signaling.RootTopic(rooms[0])
	ev := nostr.Event{CreatedAt: nostr.Now(), Kind: signaling.Kind(topic), Tags: nostr.Tags{{"x", topic}}}
	if err := ev.Sign(nostr.GeneratePrivateKey()); err != nil {
		return // a fresh key signs
	}
	n := 0
	for ctx.Err() == nil {
		a.connect(ctx, from, func(conn *wsload.Conn, _ <-chan string) {
			repeat(conn, func() []byte {
				n++
				ev.Content = fmt.Sprintf(`{"peerId":"attacker","n":%d}`, n)
				ev.ID = ev.GetID()
				return wsload.Frame([]byte(`["EVENT",` + ev.String() + `]`))
			})
		})
	}
}

// copyAhead is how long before the real event its forged copy is sent.
const copyAhead = time.Second

// The answers to forged copies, besides the relay's counters.
const (
	copiesFirst = "forged copies refused before the real event"
	copiesLate  = "forged copies that came after it"
)

// forgedCopies sends those of the plan that are this address's turn.
func (a *attackers) forgedCopies(ctx context.Context, from string, turn int) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := turn; i < len(a.Copies); i += a.Addresses {
		if sleepUntil(ctx, a.Copies[i].At.Add(-copyAhead)) != nil {
			return
		}
		all.Go(func() { a.forgedCopy(ctx, from, a.Copies[i]) })
	}
}

// forgedCopy sends one on a new connection, as those before are closed for junk.
func (a *attackers) forgedCopy(ctx context.Context, from string, c forgedCopy) {
	a.connect(ctx, from, func(conn *wsload.Conn, answers <-chan string) {
		defer conn.Close()
		if conn.Send(c.Frame) != nil {
			return
		}
		select {
		case answer := <-answers:
			switch answer {
			case "events.forged":
				a.told.add(copiesFirst)
			case "events.duplicate":
				a.told.add(copiesLate)
			}
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
	})
}

const (
	allSubscriptions = 10_000 // of all addresses
	perConnection    = 500
)

// subscribers is how many connections of each address subscribe.
func subscribers(addresses int) int {
	return (allSubscriptions + perConnection*addresses - 1) / (perConnection * addresses)
}

// subscriptions opens many for everything that is said, and then goes on asking
// for more at full rate.
func (a *attackers) subscriptions(ctx context.Context, from string) {
	for ctx.Err() == nil {
		a.connect(ctx, from, func(conn *wsload.Conn, _ <-chan string) {
			n := 0
			repeat(conn, func() []byte {
				if n++; n > perConnection {
					// Only ids that are not open: a REQ above the rate closes its own.
					n = perConnection + 1 + n%100
				}
				return subscribe(n)
			})
		})
	}
}

func subscribe(id int) []byte { return wsload.Frame(fmt.Appendf(nil, `["REQ","s%d",{}]`, id)) }

// slowReader subscribes to everything a hundred times and never reads.
func (a *attackers) slowReader(ctx context.Context, from string) {
	for ctx.Err() == nil {
		conn, err := wsload.Dial(ctx, a.URL, from)
		if err != nil {
			_ = sleepUntil(ctx, time.Now().Add(10*time.Millisecond))
			continue
		}
		var all []byte
		for i := range 100 {
			all = append(all, subscribe(i)...)
		}
		for conn.Send(all) == nil { // until it is cut
			all = subscribe(0)
			if sleepUntil(ctx, time.Now().Add(time.Second)) != nil {
				break
			}
		}
		conn.Close()
	}
}

// binaryFrames sends binary messages.
func (a *attackers) binaryFrames(ctx context.Context, from string) {
	frame := ws.MustCompileFrame(ws.MaskFrameWith(ws.NewBinaryFrame(bytes.Repeat([]byte{7}, 1000)), [4]byte{}))
	for ctx.Err() == nil {
		a.connect(ctx, from, func(conn *wsload.Conn, _ <-chan string) { repeat(conn, func() []byte { return frame }) })
	}
}

// oversizedFrames sends messages above the limit, in frames of a megabyte.
func (a *attackers) oversizedFrames(ctx context.Context, from string) {
	frame := wsload.Frame([]byte(`["EVENT","` + strings.Repeat("x", 1<<20) + `"]`))
	for ctx.Err() == nil {
		a.connect(ctx, from, func(conn *wsload.Conn, _ <-chan string) { repeat(conn, func() []byte { return frame }) })
	}
}
