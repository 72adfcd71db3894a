package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// ErrGraphFull is wrapped by the error of [Graph.Set] for what is beyond the graph's
// bound.
var ErrGraphFull = errors.New("store: the graph is full")

// maxStaged bounds the bytes that wait for the disk.
const maxStaged = 16 << 20

// Graph is the graph of one room in a file of its own: the entries, and the clock.
// A change is staged first, where Entry sees it, and a goroutine of the Graph then
// commits all that is staged together. Set and SetLast are for one goroutine at a
// time, all else is for any.
type Graph struct {
	db   *bbolt.DB
	path string
	log  *slog.Logger
	keep int           // how many removals are remembered
	wake chan struct{} // has a token if something is to be committed
	stop chan struct{}
	done sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	next     map[string][]byte // the records that are staged, by id
	writing  map[string][]byte // those of the commit that is under way
	pending  int               // the bytes of both
	growth   int64             // by which the graph's bytes change with both
	seq      uint64            // of the last Set
	last     graph.Timestamp   // of the last SetLast
	bound    int64             // of the graph's bytes; 0 is none
	disk     state
	recent   ring
	drops    map[string]uint64 // removals to forget: id → Seq
	sweeping bool
	commits  uint64
	total    *atomic.Uint64 // commits of several graphs; nil: nobody counts
	changed  chan struct{}  // closed with every commit, be it a failed one
	full     error          // of the last commit, if it found no room
	err      error          // the first commit that failed for good, or ErrClosed
}

// GraphStats are figures of a [Graph], as the disk has it.
type GraphStats struct {
	Nodes, Removals uint64
	Bytes           uint64 // of nodes and removals, as they are kept
	Staged          int    // bytes that wait for the disk
	Commits         uint64 // since it was opened
	FileSize        int64
}

// OpenGraph opens the graph in the file path, or makes it. It reads the whole file:
// one that is damaged, or was written by a later version, is left as it is, and the
// error says what to do. It waits up to 5 s for another process to close it, then
// returns [ErrInUse].
func OpenGraph(path string, log *slog.Logger) (*Graph, error) {
	if log == nil {
		log = slog.Default()
	}
	g := &Graph{
		path: path, log: log, keep: maxRemovals, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		next: map[string][]byte{}, changed: make(chan struct{}),
	}
	var err error
	g.db, err = openFile(path, log, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType,
		// The list would be written with every commit; it is made when the file is
		// opened, as that reads everything in any case.
		NoFreelistSync: true,
		PageSize:       graphPage,
	}, "without it the room begins empty, and gets what browsers in it still have", func(db *bbolt.DB) (err error) {
		g.disk, err = prepareGraph(db)
		return err
	})
	if err != nil {
		return nil, err
	}
	g.seq, g.last, g.recent.floor = g.disk.head, g.disk.last, g.disk.head
	g.done.Go(g.run)
	return g, nil
}

// Close commits what is staged and closes the file. Its error tells if that could not
// be committed.
func (g *Graph) Close() error {
	err := error(nil)
	g.once.Do(func() {
		close(g.stop)
		g.done.Wait()
		g.mu.Lock()
		if len(g.next) > 0 {
			err = fmt.Errorf("store: %d changes are not in %s: %w", len(g.next), g.path, errors.Join(g.err, g.full))
		}
		if g.err == nil {
			g.err = ErrClosed
		}
		g.broadcast()
		g.mu.Unlock()
		err = errors.Join(err, guard(g.db.Close))
	})
	return err
}

// Entry returns the entry of an id, as it is staged, or else as the disk has it.
func (g *Graph) Entry(id string) (graph.Entry, bool, error) {
	record, err := g.record(id)
	return entryOf(id, record, err)
}

// Committed returns the entry of an id as the disk has it.
func (g *Graph) Committed(id string) (graph.Entry, bool, error) {
	record, err := g.read(id)
	return entryOf(id, record, err)
}

func entryOf(id string, record []byte, err error) (graph.Entry, bool, error) {
	if err != nil || record == nil {
		return graph.Entry{}, false, err
	}
	e, err := decodeEntry(id, record)
	return e, err == nil, err
}

// record is that of an id, staged or not; nil if there is none. Nobody may change it.
func (g *Graph) record(id string) ([]byte, error) {
	g.mu.Lock()
	record, ok := g.next[id]
	if !ok {
		record, ok = g.writing[id]
	}
	g.mu.Unlock()
	if ok {
		return record, nil
	}
	return g.read(id)
}

// Set stages an entry in the place of the one with its id, and gives it its Seq. It
// keeps nothing of what the entry points to. It fails with [ErrGraphFull] beyond the
// bound (SetBounds), with [ErrFull] where too much waits for the disk already,
// with [ErrClosed], and with the error of a disk that failed for good.
func (g *Graph) Set(e graph.Entry) error {
	if e.ID == "" || len(e.ID) > bbolt.MaxKeySize {
		return fmt.Errorf("store: an id has 1 to %d bytes, this one %d", bbolt.MaxKeySize, len(e.ID))
	}
	old, err := g.record(e.ID)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	e.Seq = max(g.seq+1, uint64(time.Now().UnixMicro()))
	record := encodeEntry(e)
	size := len(e.ID) + len(record)
	growth := int64(size)
	if old != nil {
		growth -= int64(len(e.ID) + len(old))
	}
	bound := g.bound
	if e.Removed || old != nil && !isRemoved(old) {
		bound *= 2
	}
	if growth > 0 && bound > 0 && int64(g.disk.bytes)+g.growth+growth > bound {
		return fmt.Errorf("node %q of %d bytes: %w: it has %d of %d bytes", e.ID, size, ErrGraphFull, int64(g.disk.bytes)+g.growth, bound)
	}
	if g.pending+size > maxStaged {
		return errors.Join(fmt.Errorf("store: %d bytes wait to be written to %s: %w", g.pending, g.path, ErrFull), g.full)
	}
	if staged, ok := g.next[e.ID]; ok {
		g.pending -= len(e.ID) + len(staged)
	}
	g.next[e.ID] = record
	g.pending += size
	g.growth += growth
	g.seq = e.Seq
	g.awake()
	return nil
}

// SetLast stages the clock. It is committed together with the entries that were set
// before.
func (g *Graph) SetLast(t graph.Timestamp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t != g.last {
		g.last = t
		g.awake()
	}
}

// Last is the clock, staged or not.
func (g *Graph) Last() graph.Timestamp {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// Staged is the Seq of the last Set.
func (g *Graph) Staged() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seq
}

// Head is the Seq of the last change that is on the disk.
func (g *Graph) Head() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.disk.head
}

// Wait waits until all changes up to a Seq are on the disk. Where the disk has no
// room it fails with [ErrFull] at once; the changes stay staged then, and are tried
// again.
func (g *Graph) Wait(ctx context.Context, seq uint64) error {
	for {
		g.mu.Lock()
		head, err, changed := g.disk.head, errors.Join(g.err, g.full), g.changed
		g.mu.Unlock()
		if head >= seq {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Err tells why nothing can be committed now; nil if it can, as far as is known.
func (g *Graph) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.err, g.full)
}

// SetBounds bounds the bytes of all entries, as GraphStats has them: new nodes beyond
// are refused; changes of nodes that are there, and removals, only beyond twice the
// bound, if they need more room. 0 is no bound.
func (g *Graph) SetBounds(bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bound = bytes
}

// Count has the commits from now on be counted in total too.
func (g *Graph) Count(total *atomic.Uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total = total
}

// Stats returns the graph's figures.
func (g *Graph) Stats() GraphStats {
	g.mu.Lock()
	s := GraphStats{Nodes: g.disk.nodes, Removals: g.disk.removals, Bytes: g.disk.bytes, Staged: g.pending, Commits: g.commits}
	g.mu.Unlock()
	if info, err := os.Stat(g.path); err == nil {
		s.FileSize = info.Size()
	}
	return s
}

// awake has the committer look. g.mu is held.
func (g *Graph) awake() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// broadcast wakes those who wait. g.mu is held.
func (g *Graph) broadcast() {
	close(g.changed)
	g.changed = make(chan struct{})
}
