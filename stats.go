package genosrtc

import (
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
	"github.com/genosrtc/caddy-genosrtc/turn"
)

// Stats are what a server holds now, and its totals since it was started.
type Stats struct {
	Engine    engine.Stats
	Rooms     engine.RoomStats // of all rooms together
	Graph     store.GraphStats // of all rooms together
	Links     rtc.Stats
	Sessions  handler.Stats // of all sites, also those that are closed
	Relay     relay.Stats   // the embedded one
	Relays    []signaling.RelayStatus
	Signaling signaling.Stats
	TURN      turn.Stats  // zero where there is no TURN server
	Store     store.Stats // of what outlives the process beside journals and graphs
	Draining  bool
	// EventsDropped counts events that Config.OnEvent was too slow for.
	EventsDropped uint64
}

// Stats asks every part of the server. It takes about a microsecond for each link
// and peer, and waits for rooms that are busy.
func (s *Server) Stats() Stats {
	stats := Stats{
		Engine: s.node.Stats(), Links: s.transport.Stats(), Sessions: s.handlers.stats(),
		Relay: s.relay.Stats(), Relays: s.pool.Status(), Signaling: s.pool.Stats(),
		Draining: s.Draining(), EventsDropped: s.events.lost(),
	}
	if s.turn != nil {
		stats.TURN = s.turn.Stats()
	}
	if s.store != nil {
		stats.Store = s.store.Stats()
	}
	for _, room := range s.node.Rooms() {
		stats.Rooms.Add(room.Stats())
		if m := room.Memory(); m != nil {
			g := m.Stats().GraphStats
			stats.Graph.Nodes += g.Nodes
			stats.Graph.Removals += g.Removals
			stats.Graph.Bytes += g.Bytes
			stats.Graph.Staged += g.Staged
			stats.Graph.FileSize += g.FileSize
		}
	}
	return stats
}
