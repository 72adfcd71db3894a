package signaling

import (
	"github.com/nbd-wtf/go-nostr"
)

// Local is a relay in this process, fed without a socket: the embedded one
// (package relay). Its methods may be called from several goroutines and do
// not block on sockets.
type Local interface {
	// Subscribe hands every event that matches one of the filters (NIP-01;
	// since is ignored) to deliver, also those that came by Publish. The events
	// are verified already, and belong to everybody: deliver does not change
	// them. deliver is called from a goroutine of the relay, one call at a time
	// for a subscription, fed by a bounded queue there. cancel ends the
	// subscription, drops what is queued for it, and waits until deliver will
	// not be called again, so it must not be called from within deliver; it may
	// be called more than once.
	Subscribe(filters nostr.Filters, deliver func(*nostr.Event)) (cancel func())
	// Publish fans an event out to all subscriptions that match it. The event
	// is signed by us, so the relay need not verify it, and neither side
	// changes it afterwards.
	Publish(ev *nostr.Event)
	// Audience is the number of subscriptions, made over sockets, that an event
	// with this topic as its x tag and with the topic's kind would reach.
	// Subscriptions made by Subscribe do not count.
	Audience(topic string) int
}
