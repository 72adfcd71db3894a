package turn

import (
	"net"
	"sync"
)

// maxPermissions bounds the peers that the client of an allocation may name at a
// time, and the channels that it may bind: a link has a handful.
const maxPermissions = 256

// permissions are those of each client, by clientKey.
type permissions struct {
	mu       sync.Mutex
	byClient map[string]*granted
}

type granted struct {
	peers    map[string]bool // by IP
	channels int
}

// take notes a peer that a client will have a permission for, unless it has too many
// for one more. It counts before pion does: between OnPermissionCreated, which is
// called when the permission can be found, and the start of its timer, the end of the
// allocation would stop a timer that is nil, and panic. Pion's window remains, but
// nothing of ours is in it. A peer whose channel pion then refuses stays noted until
// the allocation ends.
//
// Peers that are known pass, since permissions and channels are refreshed by the same
// requests. Which it is cannot be told: a client that binds one channel too many to
// them can refresh nothing until one is over.
func (p *permissions) take(client string, peer net.IP) (ok bool) {
	ip := peer.String()
	p.change(client, func(g *granted) {
		room := g.channels < maxPermissions && len(g.peers) < maxPermissions
		ok = room || g.peers[ip] && g.channels <= maxPermissions
		if ok {
			g.peers[ip] = true
		}
	})
	return ok
}

func (p *permissions) change(client string, change func(*granted)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.byClient[client]
	if g == nil {
		if p.byClient == nil {
			p.byClient = make(map[string]*granted)
		}
		g = &granted{peers: make(map[string]bool)}
		p.byClient[client] = g
	}
	change(g)
	if len(g.peers) == 0 && g.channels == 0 {
		delete(p.byClient, client)
	}
}

// clientKey is of both ends: a client may come from one port to several addresses of
// ours, and has an allocation with each.
func clientKey(client, server net.Addr) string {
	return client.Network() + " " + client.String() + " " + server.String()
}
