package relay

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a relay's counters. All but Connections and
// Subscriptions count from its start.
type Stats struct {
	Connections   int `json:"connections"`   // open now
	Subscriptions int `json:"subscriptions"` // over connections, open now

	Opened uint64 `json:"opened"` // connections

	Events EventStats `json:"events"`
	// Verified counts the signatures that were checked, the relay's main cost.
	Verified uint64 `json:"verified"`
	// VerifyTime is what these took together.
	VerifyTime time.Duration `json:"verify_time"`

	// Deliveries counts the events queued for subscriptions.
	Deliveries uint64 `json:"deliveries"`
	// DroppedAnnounces and DroppedEvents count what was not delivered because
	// the queue of a connection, or of a subscription in this process, was full.
	DroppedAnnounces uint64 `json:"dropped_announces"`
	DroppedEvents    uint64 `json:"dropped_events"`

	Refused RefusedStats `json:"refused"`
	Closed  ClosedStats  `json:"closed"`
}

// EventStats counts events by verdict. Each event has one.
type EventStats struct {
	Accepted    uint64 `json:"accepted"`     // from connections
	Local       uint64 `json:"local"`        // from this process
	Duplicate   uint64 `json:"duplicate"`    // known by their id
	Invalid     uint64 `json:"invalid"`      // wrong shape, time or id
	Forged      uint64 `json:"forged"`       // wrong signature
	Blocked     uint64 `json:"blocked"`      // of a kind or topic that is not carried
	RateLimited uint64 `json:"rate_limited"` // too many from the connection or address
}

// RefusedStats counts refusals of everything but events.
type RefusedStats struct {
	ConnectionsFull    uint64 `json:"connections_full"`    // above Limits.Connections
	ConnectionsAddress uint64 `json:"connections_address"` // above Limits.ConnectionsPerAddress
	Subscriptions      uint64 `json:"subscriptions"`       // invalid, or above a limit
	RateLimited        uint64 `json:"rate_limited"`        // REQ and other messages, not events
	Unsupported        uint64 `json:"unsupported"`         // COUNT, AUTH, unknown messages
	Malformed          uint64 `json:"malformed"`           // not a Nostr message
	Binary             uint64 `json:"binary"`              // binary messages
	TooLarge           uint64 `json:"too_large"`           // messages above Limits.Message
}

// ClosedStats counts the connections that the relay closed, by cause.
type ClosedStats struct {
	Junk     uint64 `json:"junk"`      // above Limits.Violations
	TooLarge uint64 `json:"too_large"` // above Limits.Message
	Slow     uint64 `json:"slow"`      // Limits.Slow
}

// counters is the live form of Stats.
type counters struct {
	connections, subscriptions atomic.Int64

	opened                                                                  atomic.Uint64
	accepted, local, duplicate, invalid, forged, blocked, eventsRateLimited atomic.Uint64
	deliveries, droppedAnnounces, droppedEvents                             atomic.Uint64
	connectionsFull, connectionsAddress, refusedSubscriptions, rateLimited  atomic.Uint64
	unsupported, malformed, binary, tooLarge                                atomic.Uint64
	closedJunk, closedTooLarge, closedSlow                                  atomic.Uint64
}

// Stats returns the counters as they are now.
func (r *Relay) Stats() Stats {
	c := &r.counters
	return Stats{
		Connections:      int(c.connections.Load()),
		Subscriptions:    int(c.subscriptions.Load()),
		Opened:           c.opened.Load(),
		Verified:         r.verifier.checked.Load(),
		VerifyTime:       time.Duration(r.verifier.took.Load()),
		Deliveries:       c.deliveries.Load(),
		DroppedAnnounces: c.droppedAnnounces.Load(),
		DroppedEvents:    c.droppedEvents.Load(),
		Events: EventStats{
			Accepted:    c.accepted.Load(),
			Local:       c.local.Load(),
			Duplicate:   c.duplicate.Load(),
			Invalid:     c.invalid.Load(),
			Forged:      c.forged.Load(),
			Blocked:     c.blocked.Load(),
			RateLimited: c.eventsRateLimited.Load(),
		},
		Refused: RefusedStats{
			ConnectionsFull:    c.connectionsFull.Load(),
			ConnectionsAddress: c.connectionsAddress.Load(),
			Subscriptions:      c.refusedSubscriptions.Load(),
			RateLimited:        c.rateLimited.Load(),
			Unsupported:        c.unsupported.Load(),
			Malformed:          c.malformed.Load(),
			Binary:             c.binary.Load(),
			TooLarge:           c.tooLarge.Load(),
		},
		Closed: ClosedStats{
			Junk:     c.closedJunk.Load(),
			TooLarge: c.closedTooLarge.Load(),
			Slow:     c.closedSlow.Load(),
		},
	}
}
