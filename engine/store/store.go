// Package store keeps on disk what must survive the process beside the rooms'
// journals: today the seats of sessions.
//
// It is one bbolt file with a bucket for each purpose. A commit is synced to the
// disk before it is acknowledged, and concurrent callers share one; why not less
// stands in docs/decisions.md, "The journal". The file's lock is the lock of the
// data folder: as long as a store is open, no other server opens the folder.
package store

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

var (
	// ErrInUse is returned by [Open] if another process has the file open.
	ErrInUse = errors.New("store: another server uses this folder")
	// ErrDamaged is wrapped by errors that tell of a file, or of a record in it,
	// which is not what was written.
	ErrDamaged = errors.New("store: damaged")
	// ErrVersion is wrapped by the error of [Open] for a file of a later layout.
	ErrVersion = errors.New("store: unknown version")
	// ErrFull is wrapped by the error of a commit that found no room on the disk.
	// Later ones may.
	ErrFull = errors.New("store: no room on the disk")
	// ErrClosed is returned after [Store.Close].
	ErrClosed = errors.New("store: closed")
)

// lockTimeout is how long Open waits for the process before this one to end.
const lockTimeout = 5 * time.Second

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	db  *bbolt.DB
	log *slog.Logger

	writes chan write
	stop   chan struct{}
	done   sync.WaitGroup
	close  sync.Once

	commits, failed atomic.Uint64

	mu  sync.Mutex
	err error // the first commit that failed for good, or ErrClosed
}

// Stats are a store's totals since it was opened.
type Stats struct {
	Commits uint64 // on the disk; many callers share one
	Failed  uint64 // for want of room, or for good
}

// Stats returns the store's totals.
func (s *Store) Stats() Stats { return Stats{s.commits.Load(), s.failed.Load()} }

// Err tells why nothing more is taken until the store is opened anew; nil if it is.
func (s *Store) Err() error { return s.failure() }

// Open opens the store in the file path, or makes it. It waits up to 5 s for
// another process to close it, then returns [ErrInUse]. A file that is damaged, or
// was written by a later version, is left as it is, and the error says what to do.
func Open(path string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.Default()
	}
	s := &Store{log: log, writes: make(chan write), stop: make(chan struct{})}
	var err error
	s.db, err = openFile(path, log, &bbolt.Options{FreelistType: bbolt.FreelistMapType},
		"without it, sessions of before are not resumed",
		func(db *bbolt.DB) error { return prepare(db, log) })
	if err != nil {
		return nil, err
	}
	s.done.Go(s.run)
	return s, nil
}

// Close lets the commit that is under way end and closes the file.
func (s *Store) Close() error {
	err := error(nil)
	s.close.Do(func() {
		s.fail(ErrClosed)
		close(s.stop)
		s.done.Wait()
		err = guard(s.db.Close)
	})
	return err
}

// fail records why nothing more is taken. The first reason stays.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
