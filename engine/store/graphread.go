package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// What a transaction reads at most: a long one would keep the pages that others
// replace meanwhile, and the file would grow.
const (
	pieceEntries = 1000
	pieceBytes   = 1 << 20
)

// maxChanges bounds the bytes of the entries that Changes returns at once.
const maxChanges = 4 << 20

// view runs f in a transaction.
func (g *Graph) view(f func(entries *bbolt.Bucket) error) error {
	err := guard(func() error {
		return g.db.View(func(tx *bbolt.Tx) error { return f(tx.Bucket(entriesBucket)) })
	})
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	if err != nil {
		return fmt.Errorf("store: read %s: %w", g.path, err)
	}
	return nil
}

// read returns a copy of an id's record on the disk, nil if there is none.
func (g *Graph) read(id string) (record []byte, err error) {
	err = g.view(func(entries *bbolt.Bucket) error {
		record = bytes.Clone(entries.Get([]byte(id)))
		return nil
	})
	return record, err
}

// Nodes returns those of some ids that are nodes, staged or on the disk, in their order.
// It reads nothing else of them.
func (g *Graph) Nodes(ids []string) (nodes []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	staged := map[string]bool{}
	g.mu.Lock()
	for _, id := range ids {
		record, ok := g.next[id]
		if !ok {
			record, ok = g.writing[id]
		}
		if ok {
			staged[id] = !isRemoved(record)
		}
	}
	g.mu.Unlock()
	err = g.view(func(entries *bbolt.Bucket) error {
		for _, id := range ids {
			is, ok := staged[id]
			if !ok {
				record := entries.Get([]byte(id))
				if record != nil && len(record) < recordHead {
					return fmt.Errorf("%w: the entry of %q", ErrDamaged, id)
				}
				is = record != nil && !isRemoved(record)
			}
			if is {
				nodes = append(nodes, id)
			}
		}
		return nil
	})
	return nodes, err
}

// walk calls f with all records from an id on, in several transactions. f must not
// keep what it is given. After each transaction it calls between, which can end it.
func (g *Graph) walk(from string, f func(id, record []byte), between func() bool) error {
	next := []byte(from)
	for next != nil {
		err := g.view(func(entries *bbolt.Bucket) error {
			c := entries.Cursor()
			size := 0
			id, record := c.Seek(next)
			for n := 0; id != nil && n < pieceEntries && size < pieceBytes; n++ {
				if len(record) < recordHead {
					return fmt.Errorf("%w: the entry of %q", ErrDamaged, id)
				}
				f(id, record)
				size += len(id) + len(record)
				id, record = c.Next()
			}
			next = bytes.Clone(id)
			return nil
		})
		if err != nil {
			return err
		}
		if !between() {
			return nil
		}
	}
	return nil
}

// Scan calls yield with all entries that are on the disk, removals too, in the order
// of their ids from one on, until it returns false. What is committed meanwhile may
// or may not be seen. yield is called outside of all transactions and locks; what it
// gets is its own.
func (g *Graph) Scan(from string, yield func(graph.Entry) bool) error {
	var piece []graph.Entry
	var bad error
	err := g.walk(from, func(id, record []byte) {
		e, err := decodeEntry(string(id), record)
		if err != nil {
			bad = cmp.Or(bad, err)
			return
		}
		piece = append(piece, e)
	}, func() bool {
		for _, e := range piece {
			if !yield(e) {
				bad = nil
				return false
			}
		}
		piece = piece[:0]
		return bad == nil
	})
	return cmp.Or(err, bad)
}

// Changes waits for entries on the disk whose Seq is above after, and returns some,
// the lowest first: at most max, and fewer where they are large. Of an entry that
// changed several times there is the last. Who calls it again with the last Seq that
// it got misses nothing but removals that were forgotten meanwhile. Where after lies
// further back than the changes in memory reach, each call reads the whole file.
func (g *Graph) Changes(ctx context.Context, after uint64, max int) ([]graph.Entry, error) {
	for {
		g.mu.Lock()
		head, err, changed := g.disk.head, g.err, g.changed
		records, inMemory := g.recent.after(after, max)
		g.mu.Unlock()
		var entries []graph.Entry
		switch {
		case errors.Is(err, ErrClosed):
			return nil, err
		case head > after && inMemory:
			entries, err = decodeAll(records)
		case head > after:
			entries, err = g.older(ctx, after, head, max)
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		if err != nil || len(entries) > 0 {
			return entries, err
		}
	}
}

func decodeAll(records []change) (entries []graph.Entry, err error) {
	size := 0
	for _, c := range records {
		e, err := decodeEntry(c.id, c.record)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
		if size += len(c.id) + len(c.record); size > maxChanges {
			break
		}
	}
	return entries, nil
}

// older reads the first changes after a Seq from the disk. None above head is among
// them, as what is committed while it reads may be missed.
func (g *Graph) older(ctx context.Context, after, head uint64, max int) ([]graph.Entry, error) {
	var found []change // without records
	first := func() {
		slices.SortFunc(found, func(a, b change) int { return cmp.Compare(a.seq, b.seq) })
		if len(found) >= max {
			found = found[:max]
			head = found[max-1].seq
		}
	}
	err := g.walk("", func(id, record []byte) {
		seq := seqOf(record)
		if seq <= after || seq > head {
			return
		}
		found = append(found, change{seq: seq, id: string(id)})
		if len(found) >= 2*max {
			first()
		}
	}, func() bool { return ctx.Err() == nil })
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return nil, err
	}
	first()
	var records []change
	size := 0
	for _, c := range found {
		if c.record, err = g.read(c.id); err != nil {
			return nil, err
		}
		if c.record == nil || len(c.record) >= recordHead && seqOf(c.record) != c.seq {
			continue // it changed since, and comes later
		}
		records = append(records, c)
		if size += len(c.id) + len(c.record); size > maxChanges {
			break
		}
	}
	return decodeAll(records)
}
