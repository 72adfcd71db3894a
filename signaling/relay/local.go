package relay

import (
	"sync"

	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

var _ signaling.Local = (*Relay)(nil)

// maxLocalPeers bounds the hosted peers whose self topics are carried. They say
// goodbye when they leave, so that this is far above what is reached.
const maxLocalPeers = 65_536

// localSpeaker speaks for the peers of this process.
type localSpeaker struct {
	mu      sync.Mutex
	speaker speaker
}

// localSubscription is a subscription of this process and its goroutine.
type localSubscription struct {
	subscription
	done chan struct{}
}

// Subscribe implements signaling.Local. The queue between the relay and deliver
// has the bounds of a connection's, Limits.Pending and Limits.PendingMessages,
// and its overflow policy: announces are dropped first, and counted.
func (r *Relay) Subscribe(filters nostr.Filters, deliver func(*nostr.Event)) (cancel func()) {
	s := &localSubscription{done: make(chan struct{})}
	s.queue = newQueue(r.limits.Pending, r.limits.PendingMessages)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return func() {}
	}
	r.locals[s] = struct{}{}
	r.mu.Unlock()

	go s.run(deliver)
	r.index.add(&s.subscription, filters)
	return func() {
		r.index.remove(&s.subscription)
		s.cancel()
		r.mu.Lock()
		delete(r.locals, s)
		r.mu.Unlock()
	}
}

func (s *localSubscription) run(deliver func(*nostr.Event)) {
	defer close(s.done)
	var batch []delivery
	for s.queue.wait() {
		batch = s.queue.take(batch[:0])
		for _, d := range batch {
			if s.queue.isClosed() {
				return
			}
			deliver(d.msg.event)
		}
		s.queue.done(batch)
		clear(batch)
	}
}

// cancel ends the goroutine and waits for it.
func (s *localSubscription) cancel() {
	s.queue.close()
	<-s.done
}

// Publish implements signaling.Local: the event is neither verified nor
// refused, whatever its topic.
func (r *Relay) Publish(ev *nostr.Event) {
	r.counters.local.Add(1)
	r.verifier.remember(ev.ID)
	s := readSignal(ev.Content)
	if rooms, err := r.rooms(ev); err == nil {
		r.local.mu.Lock()
		r.local.speaker.note(rooms, s)
		r.local.mu.Unlock()
	}
	r.fanOut(&message{tail: serialized(ev.Serialize()).tail(ev), event: ev, announce: s.announce()})
}

// Audience implements signaling.Local. Subscriptions that name ids or authors
// are not counted, as it is not known yet whether they would match.
func (r *Relay) Audience(topic string) int {
	ev := &nostr.Event{Kind: signaling.Kind(topic), Tags: nostr.Tags{{"x", topic}}, CreatedAt: nostr.Now()}
	n := 0
	var found matches
	r.index.match(ev, &found)
	for _, sub := range append(found.prompt, found.late...) {
		if sub.conn != nil {
			n++
		}
	}
	return n
}
