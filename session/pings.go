package session

import "sync"

// pings are the pings that wait for the client's answer. The ids that it is
// told are its own, small numbers.
type pings struct {
	mu     sync.Mutex
	last   uint64
	tokens map[uint64]uint64 // of engine.PingRequest, by id
}

// maxPings is the number of pings that may wait for a client; the oldest is
// forgotten, and expires with who asked.
const maxPings = 256

func (p *pings) asked(token uint64) (id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens = make(map[uint64]uint64)
	}
	p.last++
	p.tokens[p.last] = token
	if p.last > maxPings {
		delete(p.tokens, p.last-maxPings)
	}
	return p.last
}

func (p *pings) answered(id uint64) (token uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token, ok = p.tokens[id]
	delete(p.tokens, id)
	return token, ok
}
