package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/store"
	"github.com/genosrtc/caddy-genosrtc/internal/retry"
)

// keeper writes a room's seats to the node's store, so that a later process has
// them again. It collects what changes while it writes: a seat is there once, as it
// was last. What could not be written, because the disk was full, say, is tried
// again. Without a store it does nothing.
type keeper struct {
	store  *store.Store // nil: none
	room   string
	log    *slog.Logger
	clock  Clock
	jitter func() float64
	wake   chan struct{} // has room for one token
	done   chan struct{}
	// closing ends the wait for another attempt.
	closing chan struct{}

	mu      sync.Mutex
	changed map[tokenKey]*store.Seat // nil: deleted
	changes uint64                   // so many were noted,
	written uint64                   // and these of them written
	wrote   chan struct{}            // closed after the write under way, or the next
	closed  bool
}

func newKeeper(n *Node, s *store.Store, room string, log *slog.Logger) *keeper {
	k := &keeper{
		store: s, room: room, log: log, clock: n.clock, jitter: n.jitter,
		wake: make(chan struct{}, 1), done: make(chan struct{}), closing: make(chan struct{}),
		changed: make(map[tokenKey]*store.Seat), wrote: make(chan struct{}),
	}
	if s == nil {
		k.closed = true
		close(k.done)
		return k
	}
	go k.run()
	return k
}

// put notes a seat as it is; the room's actor calls it.
func (k *keeper) put(s *Seat) {
	if !s.resumable() {
		return
	}
	s.stored, s.storedAt = s.taken, s.room.now()
	k.change(s.key, &store.Seat{
		Token: s.key, Room: k.room, ID: s.id, Identity: uint8(s.identity),
		Joined: s.joined, Taken: s.taken, Resume: s.resume, Expires: s.storedAt.Add(s.resume),
	})
}

func (k *keeper) delete(s *Seat) { k.change(s.key, nil) }

// storeAgain is how often the store is told of a seat that does nothing: it
// forgets seats a day after they would have expired.
const storeAgain = time.Hour

// snapshot has the store know what was taken of each seat, now and then. What
// came later is known by the journal.
func (r *Room) snapshot() {
	for _, s := range r.tokens {
		if s.taken != s.stored || r.now().Sub(s.storedAt) > storeAgain {
			r.keeper.put(s)
		}
	}
	r.unstored = 0
}

func (k *keeper) change(key tokenKey, s *store.Seat) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.changed[key] = s
	k.changes++
	k.poke()
}

// poke has the keeper write. It needs the lock.
func (k *keeper) poke() {
	if k.closed {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// flush waits until what was changed before is written.
func (k *keeper) flush(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for changes := k.changes; k.written < changes; {
		wrote := k.wrote
		k.mu.Unlock()
		var err error
		select {
		case <-wrote:
		case <-ctx.Done():
			err = ctx.Err()
		}
		k.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) run() {
	defer close(k.done)
	var delays retry.Delays
	for range k.wake {
		if k.write() {
			delays.Reset()
			continue
		}
		// Until then nothing is written, also of what changes.
		again := make(chan struct{})
		stop := k.clock.AfterFunc(delays.Next(k.jitter), func() { close(again) })
		select {
		case <-again:
		case <-k.closing:
			stop()
		}
		k.mu.Lock()
		k.poke()
		k.mu.Unlock()
	}
	k.write()
}

// write writes what changed. It reports false if that failed; it is still to be
// written then.
func (k *keeper) write() bool {
	k.mu.Lock()
	changed, changes := k.changed, k.changes
	k.changed = make(map[tokenKey]*store.Seat)
	k.mu.Unlock()
	err := k.commit(changed)
	if err != nil {
		k.log.Error("sessions are not kept over a restart: trying again", "sessions", len(changed), "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		for key, s := range changed {
			if _, newer := k.changed[key]; !newer {
				k.changed[key] = s
			}
		}
	}
	// Who waits is not kept waiting for a disk that is full.
	k.written = changes
	close(k.wrote)
	k.wrote = make(chan struct{})
	return err == nil
}

func (k *keeper) commit(changed map[tokenKey]*store.Seat) error {
	var puts []store.Seat
	var deletes [][32]byte
	for key, s := range changed {
		if s != nil {
			puts = append(puts, *s)
		} else {
			deletes = append(deletes, key)
		}
	}
	if err := k.store.Put(puts...); err != nil {
		return err
	}
	return k.store.Delete(k.room, deletes...)
}

// close writes what is left, and waits.
func (k *keeper) close() {
	k.mu.Lock()
	if !k.closed {
		k.closed = true
		close(k.closing)
		close(k.wake)
	}
	k.mu.Unlock()
	<-k.done
}
