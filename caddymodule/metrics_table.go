package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/session"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

type stats = genosrtc.Stats

// metrics are all that we export. None has a label with values that strangers make
// up, such as the names of peers, or of rooms that are opened on demand.
var metrics = []metric{
	gauge("rooms", "Rooms that are open.", func(s *stats) int { return s.Engine.Rooms }),
	newMetric(prometheus.GaugeValue, "peers", "Peers of all rooms: remote ones that are known, those hosted here, sessions, those of them that wait to be resumed, and readers of events.", []string{"kind"}, func(s *stats, e emit) {
		e(float64(s.Rooms.Remotes), "remote")
		e(float64(s.Rooms.Hosted), "hosted")
		e(float64(s.Rooms.Seats), "session")
		e(float64(s.Rooms.Waiting), "waiting")
		e(float64(s.Rooms.Readers), "reader")
	}),

	newMetric(prometheus.GaugeValue, "links", "WebRTC connections by state.", []string{"state"}, func(s *stats, e emit) {
		for state, n := range s.Links.States {
			e(float64(n), state)
		}
	}),
	newMetric(prometheus.GaugeValue, "link_candidates", "Connected links by the types of their ICE candidates.", []string{"local", "remote"}, func(s *stats, e emit) {
		for pair, n := range s.Links.Candidates {
			e(float64(n), pair.Local, pair.Remote)
		}
	}),
	newMetric(prometheus.CounterValue, "link_attempts_total", "Attempts at links, by who made the offer (us, peer) and by outcome (opened, timeout, abandoned, failed, closed).", []string{"offer", "outcome"}, func(s *stats, e emit) {
		for a, n := range s.Engine.Attempts {
			offer := "peer"
			if a.Dialed {
				offer = "us"
			}
			e(float64(n), offer, a.Outcome)
		}
	}),
	gauge("links_opening", "Links that are opening.", func(s *stats) int { return s.Engine.Handshakes }),
	counter("links_closed_total", "Links that had opened and ended.", func(s *stats) uint64 { return s.Engine.LinksClosed }),
	gauge("link_congestion_window_bytes", "Congestion windows of the connected links together.", func(s *stats) uint64 { return s.Links.CongestionWindow }),
	gauge("link_round_trip_seconds", "Round-trip times of the connected links together.", func(s *stats) float64 { return s.Links.RoundTrip }),
	directions("frames_total", "Frames on links.", func(s *stats) (in, out uint64) { return s.Engine.FramesIn, s.Engine.FramesOut }),
	directions("frame_bytes_total", "Bytes of frames on links.", func(s *stats) (in, out uint64) { return s.Engine.BytesIn, s.Engine.BytesOut }),
	directions("messages_total", "Messages: in by links, out by sessions.", func(s *stats) (in, out uint64) { return s.Engine.MessagesIn, s.Engine.MessagesOut }),

	counters("mesh_frames_total", "Frames of rooms with cells: that came, came once more, were passed on, were filled in for a bridge.", "fate", func(s *stats) map[string]uint64 {
		return map[string]uint64{"received": s.Engine.MeshFrames, "copy": s.Engine.MeshCopies, "passed": s.Engine.MeshPassed, "filled": s.Engine.MeshFilled}
	}),
	counter("seals_total", "Rosters of rooms with cells that were sealed.", func(s *stats) uint64 { return s.Engine.Seals }),

	gauge("transfers", "Transfers under way.", func(s *stats) int { return s.Rooms.Transfers }),
	counters("transfers_total", "Transfers that were begun, reached a recipient, or ended without.", "event", func(s *stats) map[string]uint64 {
		return map[string]uint64{"begun": s.Engine.TransfersBegun, "ended": s.Engine.TransfersEnded, "cancelled": s.Engine.TransfersCancelled}
	}),
	counter("transfer_bytes_total", "Bytes of transfers that were passed on to recipients.", func(s *stats) uint64 { return s.Engine.TransferBytes }),
	counter("transfer_bytes_again_total", "Bytes of transfers that were under way when their sender was told to go back.", func(s *stats) uint64 { return s.Engine.TransferBytesAgain }),

	gauge("queue_jobs", "Jobs that wait for rooms.", func(s *stats) int { return s.Rooms.Inbox }),
	newMetric(prometheus.GaugeValue, "queue_bytes", "Bytes that wait: for links that are open, for links that are down, in transfers, and for the disk in graphs.", []string{"queue"}, func(s *stats, e emit) {
		e(float64(s.Rooms.LinkBytes), "link_open")
		e(float64(s.Rooms.WaitingBytes), "link_down")
		e(float64(s.Rooms.TransferBytes), "transfer")
		e(float64(s.Graph.Staged), "graph")
	}),
	counters("dropped_total", "What the rooms refused or threw away, by reason.", "reason", func(s *stats) map[string]uint64 { return s.Engine.Dropped }),
	counters("rules_broken_total", "Messages that broke a rule of their channel.", "rule", func(s *stats) map[string]uint64 { return s.Engine.RulesBroken }),

	gauge("sessions", "Sessions that are open, streams of events and POSTs under way included.", func(s *stats) int { return s.Sessions.Sessions }),
	counter("sessions_opened_total", "Sessions and streams of events.", func(s *stats) uint64 { return s.Sessions.Opened }),
	counter("sessions_resumed_total", "Sessions that were resumed.", func(s *stats) uint64 { return s.Engine.SeatsResumed }),
	counter("sessions_expired_total", "Sessions that were not resumed in time.", func(s *stats) uint64 { return s.Engine.SeatsExpired }),
	counter("sessions_slow_total", "Sessions and streams that were cut off because their client did not read.", func(s *stats) uint64 { return s.Sessions.Slow }),
	counters("sessions_refused_total", "Requests that were refused.", "reason", func(s *stats) map[string]uint64 { return s.Sessions.Refused }),
	counters("session_errors_total", "Errors that sessions were told.", "code", func(s *stats) map[session.Code]uint64 { return s.Sessions.Errors }),
	counter("published_total", "Messages by POST.", func(s *stats) uint64 { return s.Sessions.Published }),

	gauge("relay_connections", "Connections to the embedded relay.", func(s *stats) int { return s.Relay.Connections }),
	gauge("relay_subscriptions", "Subscriptions at the embedded relay.", func(s *stats) int { return s.Relay.Subscriptions }),
	counter("relay_connections_total", "Connections to the embedded relay that were opened.", func(s *stats) uint64 { return s.Relay.Opened }),
	counters("relay_events_total", "Events at the embedded relay.", "verdict", func(s *stats) map[string]uint64 {
		e := s.Relay.Events
		return map[string]uint64{"accepted": e.Accepted, "local": e.Local, "duplicate": e.Duplicate, "invalid": e.Invalid, "forged": e.Forged, "blocked": e.Blocked, "rate_limited": e.RateLimited}
	}),
	counter("relay_signatures_total", "Signatures that the embedded relay checked.", func(s *stats) uint64 { return s.Relay.Verified }),
	counter("relay_signature_seconds_total", "Time that checking signatures took.", func(s *stats) float64 { return s.Relay.VerifyTime.Seconds() }),
	counter("relay_deliveries_total", "Events that were queued for subscriptions.", func(s *stats) uint64 { return s.Relay.Deliveries }),
	counters("relay_dropped_total", "What was not delivered because a queue was full.", "kind", func(s *stats) map[string]uint64 {
		return map[string]uint64{"announce": s.Relay.DroppedAnnounces, "event": s.Relay.DroppedEvents}
	}),
	counters("relay_refused_total", "What the embedded relay refused, but for events.", "reason", func(s *stats) map[string]uint64 {
		r := s.Relay.Refused
		return map[string]uint64{"connections_full": r.ConnectionsFull, "connections_address": r.ConnectionsAddress, "subscriptions": r.Subscriptions,
			"rate_limited": r.RateLimited, "unsupported": r.Unsupported, "malformed": r.Malformed, "binary": r.Binary, "too_large": r.TooLarge}
	}),
	counters("relay_closed_total", "Connections that the embedded relay closed.", "cause", func(s *stats) map[string]uint64 {
		c := s.Relay.Closed
		return map[string]uint64{"junk": c.Junk, "too_large": c.TooLarge, "slow": c.Slow}
	}),

	newMetric(prometheus.GaugeValue, "signaling_connected", "Whether a relay is connected, the embedded one as local.", []string{"relay"}, func(s *stats, e emit) {
		for _, r := range s.Relays {
			e(connected(r.State), r.URL)
		}
	}),
	newMetric(prometheus.CounterValue, "signaling_events_total", "Events of our own that a relay took or lost, and what came of those that it sent.", []string{"relay", "fate"}, func(s *stats, e emit) {
		for _, r := range s.Relays {
			c := r.Counters
			for fate, n := range map[string]uint64{
				"sent": c.Sent, "lost": c.Lost, "refused": c.Refused, "received": c.Received, "delivered": c.Delivered, "duplicate": c.Duplicates,
				"stale": c.Stale, "odd": c.Odd, "sealed": c.Sealed, "forged": c.Forged, "claimed": c.Claimed, "overflow": c.Overflow, "junk": c.Junk,
			} {
				e(float64(n), r.URL, fate)
			}
		}
	}),
	newMetric(prometheus.CounterValue, "signaling_connects_total", "Connections to a relay.", []string{"relay"}, func(s *stats, e emit) {
		for _, r := range s.Relays {
			e(float64(r.Counters.Connects), r.URL)
		}
	}),
	counters("signaling_unsent_total", "Messages of our own that reached no relay: nobody was there to hear them, signing fell behind, or they could not be made.", "reason", func(s *stats) map[string]uint64 {
		return map[string]uint64{"unheard": s.Signaling.Unheard, "lost": s.Signaling.Lost, "failed": s.Signaling.Failed}
	}),

	gauge("turn_allocations", "Relay addresses that clients of TURN have.", func(s *stats) int { return s.TURN.Allocations }),
	gauge("turn_connections", "Clients of TURN that are connected by TCP.", func(s *stats) int { return s.TURN.Connections }),
	counter("turn_allocations_total", "Relay addresses that were given to clients of TURN.", func(s *stats) uint64 { return s.TURN.Created }),
	counters("turn_bytes_total", "Bytes that TURN relayed to peers of its clients, and from them.", "direction", func(s *stats) map[string]uint64 {
		return map[string]uint64{"sent": s.TURN.Sent, "received": s.TURN.Received}
	}),
	counters("turn_refused_total", "What TURN refused.", "reason", func(s *stats) map[string]uint64 { return s.TURN.Refused }),
	counter("turn_errors_total", "Requests to TURN that were answered with an error, those that were refused among them.", func(s *stats) uint64 { return s.TURN.Failed }),
	counter("turn_dropped_total", "Packets to TURN that came faster than it served them.", func(s *stats) uint64 { return s.TURN.Dropped }),

	gauge("graph_nodes", "Nodes of all graphs.", func(s *stats) uint64 { return uint64(s.Graph.Nodes) }),
	gauge("graph_bytes", "Bytes of the nodes of all graphs.", func(s *stats) uint64 { return s.Graph.Bytes }),
	gauge("graph_file_bytes", "Bytes of the files of all graphs.", func(s *stats) int64 { return s.Graph.FileSize }),
	counter("graph_commits_total", "Commits of graphs to the disk.", func(s *stats) uint64 { return s.Engine.GraphCommits }),
	counters("store_commits_total", "Commits of sessions to the disk.", "outcome", func(s *stats) map[string]uint64 {
		return map[string]uint64{"done": s.Store.Commits, "failed": s.Store.Failed}
	}),

	gauge("draining", "Whether new sessions are refused because of a drain.", func(s *stats) int {
		if s.Draining {
			return 1
		}
		return 0
	}),
	counter("events_dropped_total", "Events of Caddy that were not emitted, as those who handle them were too slow.", func(s *stats) uint64 { return s.EventsDropped }),
}

func directions(name, help string, values func(*stats) (in, out uint64)) metric {
	return counters(name, help, "direction", func(s *stats) map[string]uint64 {
		in, out := values(s)
		return map[string]uint64{"in": in, "out": out}
	})
}

func connected(s signaling.State) float64 {
	if s == signaling.Connected {
		return 1
	}
	return 0
}
