package session

import (
	"path"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Grant is what a client may do in a room, as its credentials say. The zero Grant
// is that of a room without admission: everything, for as long as it likes.
type Grant struct {
	// User is who the client is for the application. Empty: nobody says.
	User string
	// Publish and Subscribe name the channels on which the client may send, and
	// of which it hears, as patterns of path.Match. Nil: all. Empty: none.
	Publish, Subscribe []string
	// Expires is when the grant ends, and what was opened with it. Zero: never.
	Expires time.Time
	// Anonymous means that nothing was shown, since nothing was asked for.
	Anonymous bool
}

// MayPublish tells whether the client may send on a channel.
func (g *Grant) MayPublish(channel string) bool { return among(g.Publish, channel) }

// MaySubscribe tells whether the client may hear what is sent on a channel.
func (g *Grant) MaySubscribe(channel string) bool { return among(g.Subscribe, channel) }

// MayWrite tells whether the client may change the graph of a room, in which
// anonymous clients may or not. To credentials that name channels, the graph is
// engine.ChannelGraph.
func (g *Grant) MayWrite(anonymous bool) bool {
	return g.MayPublish(engine.ChannelGraph) && (anonymous || !g.Anonymous)
}

// MayRead tells whether the client may read the graph of a room.
func (g *Grant) MayRead() bool { return g.MaySubscribe(engine.ChannelGraph) }

func among(patterns []string, channel string) bool {
	return patterns == nil || slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, channel)
		return ok && err == nil
	})
}
