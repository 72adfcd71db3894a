package turn

import (
	"net"
	"sync"
)

// maxPermissions bounds the peers that the client of an allocation may name at a
// time, and the channels that it may bind: a link has a handful.
const maxPermissions = 256

// permissions are those of each client, by its address.
type permissions struct {
	mu       sync.Mutex
	byClient map[string]*granted
}

type granted struct {
	peers    map[string]bool // by IP
	channels int
}

// full tells whether a client has too many to be given one more for a peer.
func (p *permissions) full(client net.Addr, peer net.IP) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.byClient[clientKey(client)]
	return g != nil && (g.channels >= maxPermissions || len(g.peers) >= maxPermissions && !g.peers[peer.String()])
}

func (p *permissions) change(client net.Addr, change func(*granted)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := clientKey(client)
	g := p.byClient[key]
	if g == nil {
		if p.byClient == nil {
			p.byClient = make(map[string]*granted)
		}
		g = &granted{peers: make(map[string]bool)}
		p.byClient[key] = g
	}
	change(g)
	if len(g.peers) == 0 && g.channels == 0 {
		delete(p.byClient, key)
	}
}

func clientKey(a net.Addr) string { return a.Network() + " " + a.String() }
