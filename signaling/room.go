package signaling

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// inboxLimit bounds the signals that wait for a room, over all relays.
	inboxLimit = 512
	// sealedLimit bounds the peers that are remembered as having another password.
	// Who sent for longest nothing that is sealed otherwise is forgotten first.
	sealedLimit = 256
)

// room is one room's signaling on all relays.
type room struct {
	pool    *Pool
	id      string
	root    string // topic of announces and byes
	sub     string // subscription id, the same on every relay
	key     envelopeKey
	sealed  *lru.Cache[string, time.Time] // when a peer sent what the password does not open
	inbox   *queue[engine.Signal]
	stop    context.CancelFunc
	stopped chan struct{} // closed when deliver will not be called again

	mu     sync.Mutex
	closed bool
	hosted map[string]*hostedPeer // by peer id
	topics map[string]string      // self topic to peer id, of the hosted peers
}

type hostedPeer struct {
	topic     string
	typ       string // as announced last
	announced bool   // and has not said goodbye since
	gone      bool   // it has said goodbye
}

func newRoom(p *Pool, id string, key envelopeKey, deliver func(engine.Signal)) *room {
	sealed, err := lru.New[string, time.Time](sealedLimit)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &room{
		sealed:  sealed,
		pool:    p,
		id:      id,
		root:    RootTopic(id),
		sub:     rand.Text(),
		key:     key,
		inbox:   newQueue[engine.Signal](inboxLimit),
		stop:    stop,
		stopped: make(chan struct{}),
		hosted:  make(map[string]*hostedPeer),
		topics:  make(map[string]string),
	}
	go func() {
		defer close(r.stopped)
		for {
			s, ok := r.inbox.next(ctx)
			if !ok {
				return
			}
			deliver(s)
		}
	}()
	return r
}

func (r *room) Host(peer string) {
	topic := SelfTopic(r.id, peer)
	r.mu.Lock()
	r.hosted[peer] = &hostedPeer{topic: topic}
	r.topics[topic] = peer
	r.mu.Unlock()
	r.pool.refresh(r)
}

func (r *room) Unhost(peer string) {
	r.mu.Lock()
	h, ok := r.hosted[peer]
	if ok {
		delete(r.hosted, peer)
		delete(r.topics, h.topic)
	}
	r.mu.Unlock()
	if ok {
		r.pool.refresh(r)
	}
}

// Announce does nothing for a peer that is not hosted, or has said goodbye
// since.
func (r *room) Announce(peer, typ string) {
	r.mu.Lock()
	h, ok := r.hosted[peer]
	ok = ok && !h.gone
	if ok {
		h.announced, h.typ = true, typ
	}
	r.mu.Unlock()
	if ok {
		r.pool.submit(draft{room: r, kind: engine.Announce, from: peer, typ: typ})
	}
}

// introduce announces to one relay the hosted peers that were announced before
// it was connected.
func (r *room) introduce(relay string) {
	var drafts []draft
	r.mu.Lock()
	for peer, h := range r.hosted {
		if h.announced {
			drafts = append(drafts, draft{room: r, kind: engine.Announce, relay: relay, from: peer, typ: h.typ})
		}
	}
	r.mu.Unlock()
	for _, d := range drafts {
		r.pool.submit(d)
	}
}

// present tells whether a peer was announced and has not said goodbye.
func (r *room) present(peer string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.hosted[peer]
	return ok && h.announced
}

func (r *room) Bye(peer string) {
	r.mu.Lock()
	if h, ok := r.hosted[peer]; ok {
		h.gone, h.announced = true, false
	}
	r.mu.Unlock()
	r.pool.submit(draft{room: r, kind: engine.Bye, from: peer})
}

func (r *room) Offer(relay, from, to, typ, sdp string) {
	r.pool.submit(draft{r, engine.Offer, relay, from, to, typ, sdp})
}

func (r *room) Answer(relay, from, to, typ, sdp string) {
	r.pool.submit(draft{r, engine.Answer, relay, from, to, typ, sdp})
}

// Close may not be called from within deliver. Signals that wait are dropped.
func (r *room) Close() {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	if first {
		r.pool.forget(r)
		r.inbox.close()
		r.stop()
	}
	<-r.stopped
}

// wanted returns the topics that the room wants to hear: that of the announces
// first, and those of its hosted peers. It is nil once the room is closed.
func (r *room) wanted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	return append([]string{r.root}, slices.Sorted(maps.Keys(r.topics))...)
}

// addressee finds whom a topic means: a hosted peer, or for the root topic all,
// which is "".
func (r *room) addressee(topic string) (peer string, ok bool) {
	if topic == r.root {
		return "", true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	peer, ok = r.topics[topic]
	return peer, ok
}

func (r *room) hosts(peer string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.hosted[peer]
	return ok
}
