package engine

import (
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
	channelTrack   = "@_track"
)

// ChannelStream stands for audio and video where credentials name channels: who may
// publish on it may send them. It is also what peers say of their streams on.
const ChannelStream = "@_stream"

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
	case ChannelStream, channelTrack:
		// What is said of the media of the remote peer, which is declined.
	default:
		l.room.node.counters.drop("frame: unknown internal channel")
	}
}

// description is the content of the signal channel.
type description struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// onDescription takes a description that is for the link itself.
func (l *link) onDescription(c Content) {
	var d description
	if c.Kind != JSON || json.Unmarshal(c.Data, &d) != nil {
		l.room.node.counters.drop("media: bad signal")
		return
	}
	l.negotiate(func(n *negotiation) { n.heard(d) })
}
