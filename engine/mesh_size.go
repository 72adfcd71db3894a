package engine

import "github.com/genosrtc/caddy-genosrtc/engine/cells"

// claim is the cell that a peer says it is in.
type claim struct {
	cell int
	own  bool // it came by its own link: others can say anything in its name
}

// claim notes one. What others say counts only where a peer itself said nothing.
func (r *Room) claim(id string, c claim) {
	m := &r.mesh
	if known, ok := m.claims.Get(id); ok && known.own && !c.own {
		return
	}
	m.claims.Add(id, c)
	if m.topology != nil && m.topology.Cell(id) != c.cell {
		m.doubted = true
	}
}

// enoughClaims is how many it takes to change the size, of peers that are there.
const enoughClaims = 5

// learnSize finds out, where the size of cells is not configured, whether peers claim other
// cells than we think because theirs have another size. It costs milliseconds, so not at
// every claim.
func (r *Room) learnSize() {
	m := &r.mesh
	if !m.doubted || m.want > 0 || m.topology == nil || m.given != nil {
		return
	}
	claims := make(map[string]int, m.claims.Len())
	for _, id := range m.claims.Keys() {
		if m.topology.Has(id) {
			c, _ := m.claims.Peek(id)
			claims[id] = c.cell
		}
	}
	if len(claims) < min(enoughClaims, m.topology.Len()-len(r.hosted)) {
		return // some size agrees with any two
	}
	m.doubted = false
	size, ok := cells.Infer(m.topology.IDs(), claims, m.size)
	if !ok || size == m.size {
		return
	}
	r.log.Info("the room's cells have another size", "size", size)
	m.size = size
	m.seals.Changed(r.now())
	r.withPartner(func(other *Room) {
		if other.mesh.want == 0 && other.mesh.size != size {
			other.mesh.size = size
			other.mesh.seals.Changed(other.now())
		}
	})
}
