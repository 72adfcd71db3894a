package engine

import "github.com/genosrtc/caddy-genosrtc/engine/cells"

// claim notes the cell that a linked peer says it is in: nobody speaks for others, as
// origins prove nothing.
func (r *Room) claim(id string, cell int) {
	m := &r.mesh
	m.claims.Add(id, cell)
	if m.topology != nil && m.topology.Cell(id) != cell {
		m.doubted = true
	}
}

// learnSize finds out, where the size of cells is not configured, whether peers claim other
// cells than we think because theirs have another size. It costs milliseconds, so not at
// every claim.
func (r *Room) learnSize() {
	m := &r.mesh
	if !m.doubted || m.want > 0 || m.topology == nil || m.given != nil {
		return
	}
	m.doubted = false
	claims := make(map[string]int, m.claims.Len())
	for _, id := range m.claims.Keys() {
		if m.topology.Has(id) {
			claims[id], _ = m.claims.Peek(id)
		}
	}
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
