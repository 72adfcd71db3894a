package engine

import (
	"context"
	"encoding/json"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// Channels that peers use among themselves (docs/protocol.md, "Internal
// channels"). Applications cannot use names with this prefix.
const (
	internalPrefix = "@_"
	channelPing    = "@_ping"
	channelPong    = "@_pong"
	channelLeave   = "@_leave"
	channelSignal  = "@_signal"
	channelStream  = "@_stream"
	channelTrack   = "@_track"
)

// internal takes a message on an internal channel.
func (l *link) internal(m *frame.Message) {
	switch m.Channel {
	case channelPing:
		l.sendNow(channelPong)
	case channelPong:
		l.ponged()
	case channelLeave:
		l.left.Store(true)
		l.close(errRemoteLeft)
	case channelSignal:
		l.onDescription(m.Content)
	case channelStream, channelTrack:
		// What media is about. We take none.
	default:
		l.room.node.counters.drop("frame: unknown internal channel")
	}
}

// description is the content of the signal channel.
type description struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// onDescription answers a renegotiation, so that no browser waits for it.
func (l *link) onDescription(c Content) {
	var offer description
	if c.Kind != JSON || json.Unmarshal(c.Data, &offer) != nil || offer.Type != "offer" {
		l.room.node.counters.drop("frame: signal that is no offer")
		return
	}
	if l.negotiating.Add(1) > maxRenegotiate {
		l.negotiating.Add(-1)
		l.room.node.counters.drop("frame: too many signals under way")
		return
	}
	l.room.tasks.Go(func() {
		defer l.negotiating.Add(-1)
		l.negotiation.Lock()
		defer l.negotiation.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), sdpTime)
		defer cancel()
		sdp, err := l.half().Renegotiate(ctx, offer.SDP)
		if err != nil {
			l.room.node.counters.drop("frame: signal refused by the transport")
			l.room.log.Debug("renegotiation failed", "peer", l.pair.remote, "error", err)
			return
		}
		answer, err := json.Marshal(description{"answer", sdp})
		if err != nil {
			return // two strings always encode
		}
		frames, err := frame.Encode(channelSignal, l.pair.h.nextNonce(channelSignal), Content{Kind: JSON, Data: answer})
		if err == nil {
			err = l.out.put(channelSignal, &outgoing{frames: frames})
		}
		if err != nil {
			l.room.node.counters.drop("frame: signal not sent")
		}
	})
}
