package store

import "slices"

// maxRemovals is how many removals a graph remembers. When there are more, the
// oldest tenth is forgotten.
const maxRemovals = 100_000

// dropsAtOnce is how many removals a commit forgets, so that others do not wait long.
const dropsAtOnce = 500

// sweep forgets the oldest removals, until there are few enough. It is a goroutine of
// its own, one at a time.
func (g *Graph) sweep() {
	for again := true; again; {
		err := g.forget()
		if err != nil {
			g.log.Error("old removals of a room's graph cannot be forgotten", "error", err)
		}
		g.mu.Lock()
		again = err == nil && g.full == nil && g.err == nil && g.running() && g.disk.removals > uint64(g.keep)
		g.sweeping = again
		g.mu.Unlock()
	}
}

func (g *Graph) forget() error {
	var seqs []uint64
	err := g.walk("", func(_, record []byte) {
		if isRemoved(record) {
			seqs = append(seqs, seqOf(record))
		}
	}, g.running)
	keep := g.keep * 9 / 10
	if err != nil || len(seqs) <= keep {
		return err
	}
	slices.Sort(seqs)
	from := seqs[len(seqs)-keep] // the oldest that stays
	drops := map[string]uint64{}
	err = g.walk("", func(id, record []byte) {
		if seq := seqOf(record); isRemoved(record) && seq < from {
			drops[string(id)] = seq
		}
	}, func() bool {
		if len(drops) >= dropsAtOnce && !g.drop(drops) {
			return false
		}
		if len(drops) >= dropsAtOnce {
			drops = map[string]uint64{}
		}
		return g.running()
	})
	if err == nil && len(drops) > 0 {
		g.drop(drops)
	}
	return err
}

func (g *Graph) running() bool {
	select {
	case <-g.stop:
		return false
	default:
		return true
	}
}

// drop has the committer forget removals, and waits for it. It reports false when the
// graph is closed or cannot be written: they are found again later.
func (g *Graph) drop(drops map[string]uint64) bool {
	g.mu.Lock()
	g.drops = drops
	changed := g.changed
	g.awake()
	g.mu.Unlock()
	for {
		select {
		case <-changed:
		case <-g.stop:
			return false
		}
		g.mu.Lock()
		taken, failed := g.drops == nil, g.full != nil || g.err != nil
		changed = g.changed
		g.mu.Unlock()
		if failed {
			return false
		}
		if taken {
			return true
		}
	}
}
