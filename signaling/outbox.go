package signaling

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

const (
	// outboxLimit bounds the events that wait for one relay.
	outboxLimit = 256
	// refreshDelay is how long a changed subscription waits for more changes,
	// unless an event is to be sent.
	refreshDelay = 20 * time.Millisecond
)

// outgoing is a signed event on its way, and the message that carries it to
// remote relays.
type outgoing struct {
	kind  engine.SignalKind
	key   string // as in queue
	event *nostr.Event
	frame []byte
}

// outbox is the work of the goroutine that writes to one relay: rooms whose
// subscription has changed, and events. Nothing waits for a relay that is not
// connected.
type outbox struct {
	events *queue[outgoing] // its wake tells of changed rooms too

	mu      sync.Mutex
	online  bool
	changed map[*room]struct{}
	due     time.Time // when changed is to be looked at, if it is not empty
}

func newOutbox() *outbox {
	return &outbox{events: newQueue[outgoing](outboxLimit)}
}

// connect begins to take work. The caller refreshes all rooms afterwards.
func (o *outbox) connect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.online, o.changed = true, make(map[*room]struct{})
}

// disconnect ends what connect began, and returns how many events were lost.
func (o *outbox) disconnect() (lost int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.online, o.changed = false, nil
	return o.events.clear()
}

func (o *outbox) connected() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.online
}

// refresh asks to look at a room again. Many calls make one look.
func (o *outbox) refresh(r *room) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.online {
		return
	}
	if len(o.changed) == 0 {
		o.due = time.Now().Add(refreshDelay)
	}
	o.changed[r] = struct{}{}
	o.events.poke()
}

// post queues an event. It tells whether one was lost, perhaps another.
func (o *outbox) post(m outgoing) (lost bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.online || o.events.push(m.kind, m.key, m) != 0
}

// take returns the next event of kind least or more, if there is one, and the
// rooms to look at before it is sent: whoever hears an announce answers to a
// topic, and that must be subscribed by then. If rooms shall wait for more
// changes, due is when to take again.
func (o *outbox) take(least engine.SignalKind) (m outgoing, ok bool, changed []*room, due time.Time) {
	// The event first: what was refreshed before it was posted is then seen.
	m, ok = o.events.pop(least)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.changed) == 0 {
		return m, ok, nil, time.Time{}
	}
	if !ok && time.Now().Before(o.due) {
		return m, ok, nil, o.due
	}
	changed = slices.Collect(maps.Keys(o.changed))
	clear(o.changed)
	return m, ok, changed, time.Time{}
}

// idle waits for a poke, until due at the latest, if that is not zero.
func (o *outbox) idle(due time.Time) {
	var timer <-chan time.Time
	if !due.IsZero() {
		timer = time.After(time.Until(due))
	}
	select {
	case <-o.events.wake:
	case <-timer:
	}
}

// poke wakes the goroutine that writes.
func (o *outbox) poke() { o.events.poke() }
