package signaling

import (
	"context"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// localClient feeds the relay in this process, for all rooms.
type localClient struct {
	record
	relay Local
	out   *outbox
	soft  context.Context
	stop  context.CancelFunc
	done  chan struct{}
	subs  map[*room]func() // cancels; run's own
}

func newLocalClient(p *Pool, relay Local, name string) *localClient {
	l := &localClient{
		relay: relay,
		out:   newOutbox(),
		done:  make(chan struct{}),
		subs:  make(map[*room]func()),
	}
	l.status.URL = name
	l.soft, l.stop = context.WithCancel(p.ctx)
	l.out.connect()
	l.enter(Connected)
	return l
}

func (l *localClient) run() {
	defer close(l.done)
	defer context.AfterFunc(l.soft, l.out.poke)()
	for {
		finishing := l.soft.Err() != nil // asked first: nothing is posted afterwards
		m, ok, changed, due := l.out.take(engine.Announce)
		for _, r := range changed {
			l.subscribe(r)
		}
		switch {
		case ok:
			l.relay.Publish(m.event)
			l.count(func(n *Counters) { n.Sent++ })
		case finishing:
			l.out.disconnect()
			for _, cancel := range l.subs {
				cancel()
			}
			l.enter(Closed)
			return
		default:
			l.out.idle(due)
		}
	}
}

// subscribe replaces a room's subscription. The new one begins before the old
// one ends; what both bring is known by its id the second time.
func (l *localClient) subscribe(r *room) {
	old := l.subs[r]
	delete(l.subs, r)
	if filters := r.filters(nil); filters != nil {
		l.subs[r] = l.relay.Subscribe(filters, func(ev *nostr.Event) {
			r.receive(&l.record, l.status.URL, ev, true, false)
		})
	}
	if old != nil {
		old()
	}
}

func (l *localClient) hears(topic string) bool { return l.relay.Audience(topic) > 0 }

func (l *localClient) post(m outgoing) {
	if l.out.post(m) {
		l.count(func(n *Counters) { n.Lost++ })
	}
}

func (l *localClient) refresh(r *room) { l.out.refresh(r) }

func (l *localClient) finish() { l.stop() }
