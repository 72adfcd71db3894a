package signaling

import (
	"context"
	"slices"

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
	subs  map[*room]map[string]func() // cancels by topic; run's own
}

func newLocalClient(p *Pool, relay Local, name string) *localClient {
	l := &localClient{
		relay: relay,
		out:   newOutbox(),
		done:  make(chan struct{}),
		subs:  make(map[*room]map[string]func()),
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
			for _, subs := range l.subs {
				for _, cancel := range subs {
					cancel()
				}
			}
			l.enter(Closed)
			return
		default:
			l.out.idle(due)
		}
	}
}

// subscribe brings a room's subscriptions up to date. There is one for each
// topic, so that a peer that comes or goes does not touch those of the others,
// where an offer may be waiting.
func (l *localClient) subscribe(r *room) {
	wanted := r.wanted()
	subs := l.subs[r]
	if subs == nil {
		subs = make(map[string]func())
		l.subs[r] = subs
	}
	for _, topic := range wanted {
		if subs[topic] == nil {
			subs[topic] = l.relay.Subscribe(filtersFor([]string{topic}, nil), func(ev *nostr.Event) {
				r.receive(&l.record, l.status.URL, ev, true, false)
			})
		}
	}
	for topic, cancel := range subs {
		if !slices.Contains(wanted, topic) {
			cancel()
			delete(subs, topic)
		}
	}
	if len(subs) == 0 {
		delete(l.subs, r)
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
