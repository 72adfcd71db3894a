package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/internal/retry"
)

// gather is how long the first change of a group waits for others.
const gather = time.Millisecond

// run is the committer, the only goroutine that writes.
func (g *Graph) run() {
	var delays retry.Delays
	for {
		select {
		case <-g.stop:
			g.commit() // Close tells what came of it
			return
		case <-g.wake:
		}
		time.Sleep(gather)
		for errors.Is(g.commit(), ErrFull) {
			select {
			case <-g.stop:
				g.commit()
				return
			case <-time.After(delays.Next(rand.Float64)):
			}
		}
		delays.Reset()
	}
}

// group is what one commit has.
type group struct {
	records map[string][]byte
	drops   map[string]uint64
	growth  int64
	from    state // the graph before it
	head    uint64
	last    graph.Timestamp
}

// commit commits what is staged. When there was no room for it, it is staged again.
// After another failure nothing is written any more, as nobody knows what a failed
// fsync left on the disk.
func (g *Graph) commit() error {
	g.mu.Lock()
	group := group{g.next, g.drops, g.growth, g.disk, g.seq, g.last}
	if err := g.err; err != nil || len(group.records) == 0 && len(group.drops) == 0 && group.last == g.disk.last {
		g.mu.Unlock()
		return err
	}
	g.next, g.writing, g.drops = map[string][]byte{}, group.records, nil
	g.mu.Unlock()

	now, err := g.write(group)

	g.mu.Lock()
	defer g.mu.Unlock()
	g.writing = nil
	defer g.broadcast()
	if err != nil {
		g.unstage(group)
		return g.failed(err)
	}
	if g.full != nil {
		g.log.Info("the disk has room again", "file", g.path)
		g.full = nil
	}
	g.disk = now
	g.growth -= group.growth
	g.commits++
	if g.total != nil {
		g.total.Add(1)
	}
	for id, record := range group.records {
		g.pending -= len(id) + len(record)
	}
	g.recent.add(group.records)
	if now.removals > uint64(g.keep) && !g.sweeping {
		g.sweeping = true
		g.done.Go(g.sweep)
	}
	return nil
}

// unstage has a group that was not committed be staged again, but for what was
// replaced since. g.mu is held.
func (g *Graph) unstage(group group) {
	for id, record := range group.records {
		if _, ok := g.next[id]; ok {
			g.pending -= len(id) + len(record)
		} else {
			g.next[id] = record
		}
	}
}

// failed notes why a commit failed. g.mu is held.
func (g *Graph) failed(err error) error {
	if noRoom(err) {
		err = fmt.Errorf("store: commit to %s: %w: %w", g.path, ErrFull, err)
		if g.full == nil {
			g.log.Error("a room's graph cannot be written; it is tried again", "error", err)
		}
		g.full = err
		return err
	}
	g.err = fmt.Errorf("store: commit to %s: %w", g.path, err)
	g.log.Error("a room's graph takes nothing more until the server is restarted", "error", g.err)
	return g.err
}

// write writes a group in one transaction and returns what the graph is then.
func (g *Graph) write(group group) (s state, err error) {
	err = guard(func() error {
		return g.db.Update(func(tx *bbolt.Tx) error {
			s = group.from
			s.head, s.last = group.head, group.last
			entries := tx.Bucket(entriesBucket)
			for id, seq := range group.drops {
				old := entries.Get([]byte(id))
				if old == nil || !isRemoved(old) || seqOf(old) != seq {
					continue // it became a node since
				}
				s.change(id, old, nil)
				if err := entries.Delete([]byte(id)); err != nil {
					return err
				}
			}
			for _, id := range slices.Sorted(maps.Keys(group.records)) {
				key, record := []byte(id), group.records[id]
				s.change(id, entries.Get(key), record)
				if err := entries.Put(key, record); err != nil {
					return err
				}
			}
			return tx.Bucket(metaBucket).Put(stateKey, encodeState(s))
		})
	})
	return s, err
}
