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
	"runtime/debug"
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
	err error // the first failed commit, or ErrClosed
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
	var version error
	err := guard(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return err
		}
		if err := s.whole(); err != nil {
			return err
		}
		if version = s.db.Update(s.layout); version != nil {
			return version
		}
		return s.db.Update(removeExpired)
	})
	if err != nil {
		if s.db != nil {
			guard(s.db.Close)
		}
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			return nil, fmt.Errorf("%w (%s is locked)", ErrInUse, path)
		case version == nil && damaged(err):
			return nil, fmt.Errorf("%w: %s: %w: move it away, or put a backup in its place, and start again; without it, sessions of before are not resumed", ErrDamaged, path, err)
		}
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	s.done.Go(s.run)
	return s, nil
}

// damaged tells a file with wrong content from one that cannot be read.
func damaged(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, bolterrors.ErrInvalid) ||
		errors.Is(err, bolterrors.ErrVersionMismatch) || errors.Is(err, bolterrors.ErrChecksum)
}

// whole compares the size of the file with what it should be: reading past its end
// would be a fault of the memory map.
func (s *Store) whole() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(s.db.Path())
		if err == nil && info.Size() < tx.Size() {
			err = fmt.Errorf("%w: %d bytes of %d are there", ErrDamaged, info.Size(), tx.Size())
		}
		return err
	})
}

// guard turns into errors what bbolt answers to a damaged file with: panics, and
// faults of its memory map.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
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
