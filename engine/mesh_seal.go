package engine

import (
	"errors"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// errNoRole is why a link ends that has no place in the cells.
var errNoRole = errors.New("the link has no place in the cells")

// pruneAfter is when links without a role are ended. Browsers end theirs at
// cells.Grace: a link that its remote peer has closed leaves nothing behind there.
const pruneAfter = cells.Grace + 3*time.Second

// census notices who went silently.
func (r *Room) census(now time.Time) {
	m := &r.mesh
	if m.topology == nil || m.given != nil {
		return
	}
	silent := false
	for _, rem := range r.remotes {
		silent = silent || m.topology.Has(rem.id) && !rem.counts(now)
	}
	m.seals.Silent(silent, now)
}

// onCensus takes word of everybody who is there.
func (r *Room) onCensus(p *Presence) {
	m := &r.mesh
	if m.on && (m.given == nil || len(p.Joined)+len(p.Left) > 0) {
		m.seals.Changed(r.now())
	}
	m.given = p
	for _, id := range p.Left {
		r.onBye(Signal{Kind: Bye, From: id})
	}
}

// counts tells whether a remote peer is in the roster.
func (rem *remote) counts(now time.Time) bool {
	return !rem.gone && (rem.linked > 0 || now.Sub(rem.seen) <= cells.Silence)
}

// rosterChanged has the roster be sealed again, unless it is given to us.
func (r *Room) rosterChanged() {
	if r.mesh.on && r.mesh.given == nil {
		r.mesh.seals.Changed(r.now())
	}
}

// seal makes the topology of who is there now, and gives the hosted peers their roles.
func (r *Room) seal(now time.Time) {
	m := &r.mesh
	m.seals.Sealed()
	if !r.roster(now) {
		return
	}
	m.epoch++
	r.node.counters.seals.Add(1)
	m.listed = nil
	m.sealed = now
	m.shut = m.topology.Len() > len(r.hosted)
	for _, h := range r.hosted {
		h.old, h.role = h.role, m.topology.Role(h.id)
	}
	r.log.Debug("roster sealed", "epoch", m.epoch, "peers", m.topology.Len(), "cells", m.topology.Cells())
	epoch := m.epoch
	r.after(cells.Grace, func() { r.graceOver(epoch) })
	r.after(pruneAfter, func() { r.prune(now) })
	r.takeRoles()
	r.tellMesh()
	if r.syncs != nil {
		r.syncs.sealed()
	}
}

// roster brings the topology up to date. It reports whether it has changed.
func (r *Room) roster(now time.Time) bool {
	m := &r.mesh
	if m.given != nil {
		t := m.given.Topology(m.size)
		changed := t != m.topology
		m.topology = t
		return changed
	}
	changed := false
	if m.topology == nil || m.topology.Size() != m.size {
		m.topology, changed = cells.New(m.size), true
	}
	t := m.topology
	for _, id := range t.IDs() {
		rem := r.remotes[id]
		if r.hosted[id] == nil && (rem == nil || !rem.counts(now)) {
			changed = t.Remove(id) || changed
		}
	}
	for id := range r.hosted {
		changed = t.Add(id) || changed
	}
	for id, rem := range r.remotes {
		if rem.counts(now) {
			changed = t.Add(id) || changed
		}
	}
	return changed
}

// graceOver ends the old roles, unless there was another seal.
func (r *Room) graceOver(epoch uint64) {
	if r.mesh.epoch != epoch {
		return
	}
	for _, h := range r.hosted {
		h.old = nil
	}
}

// keeps tells whether a hosted peer is to have a link with a remote one. One that came since
// the last seal is to have none before the next.
func (r *Room) keeps(h *hosted, id string) bool {
	m := &r.mesh
	if !m.on || !m.shut {
		return true
	}
	if h.role.Keeps(id) || h.old.Keeps(id) {
		return true
	}
	rem := r.remotes[id]
	if rem == nil {
		return false
	}
	// Who uses no cells is linked with everybody. Who may be such a peer is let in at
	// one door, to find out.
	return rem.kind == kindFull || h == r.server && m.mode == CellsAuto && rem.kind == kindUnknown && !rem.isServers()
}

// takeRoles has the links be made that the roles need. An offer that came before the
// role did is answered now; who has made none does so when it hears us.
func (r *Room) takeRoles() {
	for _, h := range r.hosted {
		if h.role == nil {
			continue
		}
		missing := false
		for _, id := range h.role.Links {
			if r.hosted[id] != nil {
				continue
			}
			if r.mesh.given != nil {
				r.see(id, "")
			}
			p := h.pair(id)
			if p.live != nil || p.attempt != nil {
				continue
			}
			if r.advance(p); p.attempt != nil {
				continue
			}
			missing = true
			if answersOnly(id) {
				r.maybeDial(p)
			}
		}
		if missing && r.mesh.given == nil {
			r.announceSoon(h)
		}
	}
}

// prune ends the links that had no role since a seal.
func (r *Room) prune(sealed time.Time) {
	for _, h := range r.hosted {
		for _, p := range h.pairs {
			if p.live == nil || p.live.opened.After(sealed) || r.mesh.topology == nil || !r.mesh.topology.Has(p.remote) || r.keeps(h, p.remote) {
				continue
			}
			p.live.close(errNoRole)
		}
	}
}
