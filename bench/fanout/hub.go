package main

import (
	"net"
	"net/http"
	"sync"

	"github.com/gobwas/ws"
)

// hub is what fan-out costs at the least, in the plain way: a message is framed
// once, and each connection has a buffer and a goroutine that writes all of it
// at once.
type hub struct {
	mu        sync.RWMutex
	receivers []*receiver
}

// receiver is a connection, and what waits to be written to it.
type receiver struct {
	conn net.Conn
	wake chan struct{} // has room for one token

	mu      sync.Mutex
	waiting []byte
	writing bool
}

func newHub() *hub { return &hub{} }

func (h *hub) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, rw, _, err := ws.UpgradeHTTP(req, w)
	if err != nil {
		return // it has answered
	}
	if req.URL.Path == "/receive" {
		r := &receiver{conn: conn, wake: make(chan struct{}, 1)}
		h.mu.Lock()
		h.receivers = append(h.receivers, r)
		h.mu.Unlock()
		go r.write()
		return
	}
	for {
		in, err := ws.ReadFrame(rw)
		if err != nil {
			return
		}
		frame := ws.MustCompileFrame(ws.NewBinaryFrame(ws.UnmaskFrameInPlace(in).Payload))
		h.mu.RLock()
		for _, r := range h.receivers {
			r.push(frame)
		}
		h.mu.RUnlock()
	}
}

func (r *receiver) push(frame []byte) {
	r.mu.Lock()
	r.waiting = append(r.waiting, frame...)
	idle := !r.writing
	r.writing = true
	r.mu.Unlock()
	if idle {
		r.wake <- struct{}{}
	}
}

func (r *receiver) write() {
	var spare []byte
	for range r.wake {
		for {
			r.mu.Lock()
			if len(r.waiting) == 0 {
				r.writing = false
				r.mu.Unlock()
				break
			}
			b := r.waiting
			r.waiting = spare[:0]
			r.mu.Unlock()
			if _, err := r.conn.Write(b); err != nil {
				return
			}
			spare = b
		}
	}
}
