package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// Errors of a Memory.
var (
	ErrNoNode    = errors.New("there is no such node")
	ErrChanged   = errors.New("the node is not as it was expected to be")
	ErrNodeID    = errors.New("a node's id has 1 to 1024 bytes of UTF-8")
	ErrGraphFull = errors.New("the room's graph is full")
)

// MaxNodeID is the number of bytes that a node's id can have.
const MaxNodeID = 1024

// ChannelGraph is the channel of a room's graph, for whose changes a Rule can be
// made. What browsers change comes by links of their own and keeps to none.
const ChannelGraph = "syncGraph"

// Memory is the graph of a room: it takes part in the synchronisation of the room's
// browsers (docs/protocol.md, "Sync"), and keeps what they wrote. What it has
// acknowledged is on the disk. Its methods may be used by several goroutines.
type Memory struct {
	app   *Room // whose graph it is
	room  *Room // its sync room, with the server's peer alone
	store *store.Graph

	// Of the sync room's actor.
	replica   *graph.Replica
	askers    map[*link]*asker
	far       far
	others    *asker // stands for all in other cells
	answering int    // answers under way
	missed    bool   // something that will be asked for again
	news      news
	burials   *rate.Limiter       // of messages that put back removals
	tears     map[string]struct{} // nodes to mend
	mended    *lru.LRU[string, time.Time]
	trust     *trust

	whole whole
}

// Change is what is asked of a change, and by whom.
type Change struct {
	// By is whose the change is, for the rate of ChannelGraph.
	By string
	// Absent: the node must not exist.
	Absent bool
	// Exists: it must exist.
	Exists bool
	// Timestamp, if it is not nil, must be the node's.
	Timestamp *graph.Timestamp
	// Began, if it is not nil, is called once the change is made, and only waits for
	// the disk: changes that are asked for from then on come after it. size is the
	// number of bytes of the node.
	Began func(size int)
}

// Memory is the room's graph; nil if it keeps none.
func (r *Room) Memory() *Memory { return r.memory.Load() }

// AnonymousWrite tells whether everybody in the room may write to its graph.
func (m *Memory) AnonymousWrite() bool { return m.app.anonymousWrite.Load() }

// SetAnonymousWrite changes RoomConfig.AnonymousWrite from now on.
func (r *Room) SetAnonymousWrite(on bool) { r.anonymousWrite.Store(on) }

// openMemory opens a room's graph, and its sync room, in which the server's peer
// has the id that it has in the room itself, as a browser's does.
func openMemory(app *Room, password, server string, mode CellsMode, size int) (*Memory, error) {
	dir, err := app.node.folder(app.name)
	if err != nil {
		return nil, err
	}
	kept, err := store.OpenGraph(filepath.Join(dir, graphFile), app.log)
	if err != nil {
		return nil, fmt.Errorf("open the graph of room %q: %w", app.name, err)
	}
	kept.SetBounds(app.node.limits.Load().Graph)
	kept.Count(&app.node.counters.graphCommits)
	trust, err := openTrust(dir, kept.Last())
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	m := &Memory{
		app: app, store: kept, replica: graph.NewReplica(kept, kept.Last()), trust: trust,
		askers: make(map[*link]*asker), far: newFar(), others: new(asker), burials: rate.NewLimiter(rate.Every(time.Second), burialBurst),
		tears: make(map[string]struct{}), mended: newLRU[string, time.Time](maxTorn, nil),
	}
	r := newRoom(app.node, RoomConfig{Name: app.name, Password: password, Cells: mode, CellSize: size})
	r.log = r.log.With("part", "memory")
	r.syncs, m.room = m, r
	_ = r.SetRules(nil) // it has none
	r.keeper = newKeeper(app.node, nil, app.name, r.log)
	if err := r.start(SyncRoom(app.name), password, server, func() {}); err != nil {
		return nil, errors.Join(err, kept.Close(), trust.close())
	}
	return m, nil
}

// Remember has the room keep its graph, as RoomConfig.Memory does; password is the
// room's. It must not be called while another Remember, Forget or Close is under way.
func (r *Room) Remember(password string) error {
	if r.memory.Load() != nil {
		return nil
	}
	var server string
	var mode CellsMode
	var size int
	if !r.ask(func() { server, mode, size = r.server.id, r.mesh.mode, r.mesh.want }) {
		return ErrClosed
	}
	m, err := openMemory(r, password, server, mode, size)
	if err == nil {
		r.memory.Store(m)
	}
	return err
}

// Forget ends what Remember began, once all is on the disk, where it stays.
func (r *Room) Forget(ctx context.Context) error {
	m := r.memory.Swap(nil)
	if m == nil {
		return nil
	}
	if err := m.room.Close(ctx); err != nil {
		return errors.Join(err, m.store.Close()) // its actor has not ended: answers may be cut off
	}
	return errors.Join(m.store.Close(), m.trust.close())
}

// Get returns a node, with the edges to nodes that exist, as the disk has it. It
// fails with ErrNoNode.
func (m *Memory) Get(id string) (graph.Entry, error) {
	e, ok, err := m.store.Committed(id)
	switch {
	case err != nil:
		return graph.Entry{}, fmt.Errorf("read node %q: %w", id, stillOpen(err))
	case !ok || e.Removed:
		return graph.Entry{}, ErrNoNode
	}
	return m.Tidy(e)
}

// Tidy leaves out the edges of a node to what does not exist, as Scan does not.
func (m *Memory) Tidy(e graph.Entry) (graph.Entry, error) {
	edges, err := m.store.Nodes(e.Edges)
	if err != nil {
		return e, fmt.Errorf("read what node %q is linked to: %w", e.ID, stillOpen(err))
	}
	e.Edges = edges
	return e, nil
}

// Put sets a node's value, JSON, and returns the node once it is on the disk. Its
// edges stay. Peers hear of it at once. It fails with ErrChanged, ErrNodeID,
// ErrTooLarge (browsers could not take it), ErrGraphFull, a *RuleError of
// ChannelGraph, ErrClosed, or as the disk does. When ctx ends before, it fails with
// ctx's error, and the change may or may not have been made.
func (m *Memory) Put(ctx context.Context, id string, value json.RawMessage, c Change) (graph.Entry, error) {
	if err := m.judge(id, value, c.By); err != nil {
		return graph.Entry{}, err
	}
	return m.change(ctx, id, c, func(_ graph.Entry, now time.Time) (graph.Op, error) {
		return m.replica.Put(id, value, now)
	})
}

// Patch changes a node's value by a JSON Merge Patch (RFC 7396). It fails as Put
// does, and with ErrNoNode.
func (m *Memory) Patch(ctx context.Context, id string, patch json.RawMessage, c Change) (graph.Entry, error) {
	if err := m.judge(id, patch, c.By); err != nil {
		return graph.Entry{}, err
	}
	return m.change(ctx, id, c.existing(), func(old graph.Entry, now time.Time) (graph.Op, error) {
		value, err := mergePatch(old.Value, patch)
		if err == nil {
			err = fits(id, value)
		}
		if err != nil {
			return graph.Op{}, err
		}
		return m.replica.Put(id, value, now)
	})
}

// Remove removes a node. It fails as Put does, and with ErrNoNode.
func (m *Memory) Remove(ctx context.Context, id string, c Change) (graph.Entry, error) {
	if err := m.judge(id, nil, c.By); err != nil {
		return graph.Entry{}, err
	}
	return m.change(ctx, id, c.existing(), func(_ graph.Entry, now time.Time) (graph.Op, error) {
		return m.replica.Remove(id, now)
	})
}

// Link adds an edge from a node to another. It fails as Put does, and with ErrNoNode
// where one of them does not exist.
func (m *Memory) Link(ctx context.Context, source, target string, c Change) (graph.Entry, error) {
	if err := m.judge(source, nil, c.By); err != nil {
		return graph.Entry{}, err
	}
	return m.change(ctx, source, c.existing(), func(_ graph.Entry, now time.Time) (graph.Op, error) {
		if to, ok, err := m.store.Entry(target); err != nil || !ok || to.Removed {
			return graph.Op{}, errors.Join(ErrNoNode, err)
		}
		return m.replica.Link(source, target, now)
	})
}

func (c Change) existing() Change {
	c.Exists = true
	return c
}

// holds tells whether a node is as it must be.
func (c Change) holds(old graph.Entry, exists bool) error {
	switch {
	case c.Exists && !exists:
		return ErrNoNode
	case c.Absent && exists, c.Timestamp != nil && (!exists || *c.Timestamp != old.Timestamp):
		return ErrChanged
	}
	return nil
}

// judge tells whether a change can be made at all.
func (m *Memory) judge(id string, value json.RawMessage, by string) error {
	if id == "" || len(id) > MaxNodeID || !utf8.ValidString(id) {
		return ErrNodeID
	}
	if err := fits(id, value); err != nil {
		return err
	}
	content := Content{Kind: JSON, Data: value}
	if err := m.app.rule(ChannelGraph).check(sender{id: by}, m.app.now(), &content); err != nil {
		m.app.node.counters.broken(err)
		return err
	}
	return nil
}

// fits tells whether browsers can take a node: its message is of 100 frames at most.
func fits(id string, value json.RawMessage) error {
	const rest = 8 << 10 // of the message, beside the value
	if len(value) <= frame.MaxChunks*frame.MaxPayload-rest {
		return nil
	}
	// Compressed it may be smaller.
	op := graph.Op{Kind: graph.Upsert, ID: id, Value: value}
	if _, err := frame.Encode(ChannelGraph, 0, Content{Kind: JSON, Data: graph.Encode(op)}); err != nil {
		return ErrTooLarge
	}
	return nil
}

// change makes a change of ours: do returns what others are to be told.
func (m *Memory) change(ctx context.Context, id string, c Change, do func(old graph.Entry, now time.Time) (graph.Op, error)) (graph.Entry, error) {
	var (
		made graph.Entry
		seq  uint64
		err  error
	)
	if err = ctx.Err(); err != nil {
		return made, err
	}
	if !m.room.ask(func() {
		var old graph.Entry
		var exists bool
		if m.room.closing {
			err = ErrClosed
			return
		}
		if old, exists, err = m.store.Entry(id); err != nil {
			return
		}
		exists = exists && !old.Removed
		if err = c.holds(old, exists); err != nil {
			return
		}
		var op graph.Op
		if op, err = do(old, m.room.now()); err != nil {
			return
		}
		m.store.SetLast(m.replica.Last())
		seq = m.store.Staged()
		m.made(op)
		made, _, err = m.store.Entry(id)
	}) {
		return made, ErrClosed
	}
	if err == nil {
		if c.Began != nil {
			c.Began(made.Size())
		}
		err = m.store.Wait(ctx, seq)
	}
	switch {
	case errors.Is(err, store.ErrGraphFull), errors.Is(err, graph.ErrEdges):
		return made, ErrGraphFull
	case err != nil:
		return made, fmt.Errorf("change node %q: %w", id, stillOpen(err))
	case made.Removed:
		return made, nil
	}
	return m.Tidy(made)
}

// Scan calls yield with every node as the disk has it, in the order of ids (by
// bytes), from the first id that is not less than from. It ends when yield returns
// false. Edges may name nodes that are gone. The entry's slices are the callee's to
// keep.
func (m *Memory) Scan(ctx context.Context, from string, yield func(graph.Entry) bool) error {
	var gone error
	err := m.store.Scan(from, func(e graph.Entry) bool {
		if gone = ctx.Err(); gone != nil {
			return false
		}
		return e.Removed || yield(e)
	})
	return errors.Join(gone, stillOpen(err))
}

// Head is the Seq of the graph's last change that is on the disk.
func (m *Memory) Head() uint64 { return m.store.Head() }

// maxChanges is the number of entries that Changes returns, unless they are large: of
// a graph that is read from the file, each call reads all.
const maxChanges = 10_000

// Changes waits until there are entries that changed after the change with the Seq
// after, and returns some, the first of them first, removed ones too. Of an entry
// that changed several times there is the last. after 0 begins with the whole
// graph. Nothing is lost on who calls it again with the last Seq that it got, be it
// after a restart of the process. It fails with ErrClosed and with ctx's error.
func (m *Memory) Changes(ctx context.Context, after uint64) ([]graph.Entry, error) {
	changes, err := m.store.Changes(ctx, after, maxChanges)
	for i, e := range changes {
		if err == nil && !e.Removed {
			changes[i], err = m.Tidy(e)
		}
	}
	return changes, stillOpen(err)
}

// stillOpen makes an error of a store that is closed the memory's own.
func stillOpen(err error) error {
	if errors.Is(err, store.ErrClosed) {
		return ErrClosed
	}
	return err
}

// MemoryStats are what a Memory holds now, and its totals.
type MemoryStats struct {
	store.GraphStats
	Peers     int // that have a link in the sync room
	Answering int // of these, that are being brought up to date
}

// Err tells why the graph cannot be written to the disk now; nil if it can, as far as
// is known.
func (m *Memory) Err() error { return m.store.Err() }

// Stats returns what the memory holds.
func (m *Memory) Stats() MemoryStats {
	s := MemoryStats{GraphStats: m.store.Stats()}
	m.room.ask(func() { s.Peers, s.Answering = len(m.askers), m.answering })
	return s
}
