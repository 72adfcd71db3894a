package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

// bareRelay does what a relay cannot do without, in the plainest way: it finds
// subscriptions by topic, checks signatures, and writes each delivery with
// coder/websocket. It has no limits, and waits for slow readers: nothing to
// use, only to compare with.
type bareRelay struct {
	mu     sync.RWMutex
	topics map[string][]bareSubscription
}

type bareSubscription struct {
	id   string
	conn *bareConn
}

// bareConn is a connection, with what waits to be written.
type bareConn struct {
	out  chan []byte
	gone chan struct{}
}

func (c *bareConn) send(text []byte) {
	select {
	case c.out <- text:
	case <-c.gone:
	}
}

func newBareRelay() *bareRelay { return &bareRelay{topics: map[string][]bareSubscription{}} }

func (r *bareRelay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ws, err := websocket.Accept(w, req, nil)
	if err != nil {
		return // Accept has answered
	}
	defer ws.CloseNow()
	c := &bareConn{make(chan []byte, 512), make(chan struct{})}
	defer close(c.gone)
	go func() {
		for {
			select {
			case text := <-c.out:
				if ws.Write(context.Background(), websocket.MessageText, text) != nil {
					return
				}
			case <-c.gone:
				return
			}
		}
	}()
	for {
		_, text, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		switch m := nostr.ParseMessage(text).(type) {
		case *nostr.EventEnvelope:
			r.publish(c, &m.Event)
		case *nostr.ReqEnvelope:
			r.subscribe(c, m)
		}
	}
}

func (r *bareRelay) publish(from *bareConn, ev *nostr.Event) {
	valid, err := ev.CheckSignature()
	if !ev.CheckID() || !valid || err != nil {
		from.send([]byte(`["OK","` + ev.ID + `",false,"invalid: id or signature"]`))
		return
	}
	from.send([]byte(`["OK","` + ev.ID + `",true,""]`))
	// An event that was read can be written.
	text, _ := ev.MarshalJSON()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, tag := range ev.Tags {
		if len(tag) < 2 || tag[0] != "x" {
			continue
		}
		for _, sub := range r.topics[tag[1]] {
			m := append([]byte(`["EVENT","`), sub.id...)
			m = append(m, `",`...)
			m = append(m, text...)
			sub.conn.send(append(m, ']'))
		}
	}
}

func (r *bareRelay) subscribe(c *bareConn, req *nostr.ReqEnvelope) {
	r.mu.Lock()
	for _, f := range req.Filters {
		for _, topic := range f.Tags["x"] {
			r.topics[topic] = append(r.topics[topic], bareSubscription{req.SubscriptionID, c})
		}
	}
	r.mu.Unlock()
	id, _ := json.Marshal(req.SubscriptionID) // a string always has a JSON form
	c.send([]byte(`["EOSE",` + string(id) + `]`))
}
