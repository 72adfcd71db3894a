package engine

import (
	"slices"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// A room with peers of both kinds: those without cells are linked with everybody who
// lets them in, and hear no frames of the mesh; those with cells let in whom their role
// wants. The server's peer, which is linked with all of the first kind, carries between
// them. What servers like ours host is linked with all of the first kind too, and needs
// no carrying; of several servers, the one with the least id carries.

// carries tells whether it is the server's peer that carries between both kinds.
func (r *Room) carries() bool {
	if !r.mesh.mixed {
		return false
	}
	now := r.now()
	for id, rem := range r.remotes {
		if answersOnly(id) && rem.typ == TypeServer && id < r.server.id && rem.counts(now) {
			return false
		}
	}
	return true
}

// toFull gives a message of the mesh to the peers without cells that it is for; to nil
// are all. They hear it from the server's peer: a plain frame names no other sender.
func (r *Room) toFull(from string, to []string, channel string, content Content) {
	if rem := r.remotes[from]; channel == ChannelMesh || rem != nil && rem.isServers() || !r.carries() {
		return
	}
	var wanted map[string]struct{} // the list may be long
	if to != nil {
		wanted = make(map[string]struct{})
		for _, id := range to {
			if r.server.pairs[id] != nil {
				wanted[id] = struct{}{}
			}
		}
	}
	var frames [][]byte
	for id, p := range r.server.pairs {
		if p.live == nil || r.remotes[id].kind != kindFull {
			continue
		}
		if _, ok := wanted[id]; to != nil && !ok {
			continue
		}
		if frames == nil {
			var err error
			if frames, err = frame.Encode(channel, r.server.nextNonce(channel), content); err != nil {
				r.node.counters.drop("mesh: too large for peers without cells")
				return
			}
		}
		if p.live.out.put(channel, &outgoing{channel: channel, frames: frames}) != nil {
			r.node.counters.drop("mesh: a link does not take what is to pass")
		}
	}
}

// toCells gives what a peer without cells has told the server's peer to those with cells
// that have no link with it.
func (r *Room) toCells(l *link, m *frame.Message) {
	from := r.remotes[l.pair.remote]
	if l.pair.h != r.server || from == nil || from.kind != kindFull || !r.carries() {
		return
	}
	if r.mesh.topology == nil {
		return // before the first seal all are linked with all
	}
	data, ok := meshData(&m.Content)
	if !ok {
		r.node.counters.drop("mesh: bytes cannot be carried into cells")
		return
	}
	role := r.mesh.topology.Role(from.id)
	msg := cells.Message{Channel: m.Channel, Data: data, To: []string{}}
	for id, rem := range r.remotes {
		if rem.kind != kindFull && !rem.isServers() && !role.Keeps(id) && rem.counts(r.now()) {
			msg.To = append(msg.To, id)
		}
	}
	if len(msg.To) == 0 {
		return
	}
	slices.Sort(msg.To)
	r.originate(r.server, &cells.Frame{Kind: cells.KindMsg, Origin: from.id, Data: cells.AppendMessage(nil, msg)}, nil)
}
