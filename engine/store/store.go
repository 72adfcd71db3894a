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
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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

	mu  sync.Mutex
	err error // the first commit that failed for good, or ErrClosed
}

// Open opens the store in the file path, or makes it. It waits up to 5 s for
// another process to close it, then returns [ErrInUse]. A file that is damaged, or
// was written by a later version, is left as it is, and the error says what to do.
func Open(path string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.Default()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{log: log, writes: make(chan write), stop: make(chan struct{})}
	if err := s.open(path); err != nil {
		return nil, err
	}
	s.done.Go(s.run)
	return s, nil
}

func (s *Store) open(path string) (err error) {
	defer func() {
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			err = fmt.Errorf("%w (%s is locked)", ErrInUse, path)
		case errors.Is(err, ErrDamaged):
			err = fmt.Errorf("open %s: %w: move the file away, or put a backup in its place, and start again; without it, sessions of before are not resumed", path, err)
		case err != nil:
			err = fmt.Errorf("store: open %s: %w", path, err)
		}
	}()
	if err := check(path, s.log); err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := prepare(db, s.log); err != nil {
		db.Close()
		return err
	}
	s.db = db
	return nil
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
