package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
)

// maxGroup bounds how many callers share a commit, so that the first does not wait
// for the work of all.
const maxGroup = 1000

type write struct {
	do   func(tx *bbolt.Tx) error
	done chan<- error // has room for one
}

// commit runs do in a transaction that others may share, and returns once it is on
// the disk. do checks nothing that may fail but for the disk: its error is everybody's.
func (s *Store) commit(do func(tx *bbolt.Tx) error) error {
	done := make(chan error, 1)
	select {
	case s.writes <- write{do, done}:
		return <-done
	case <-s.stop:
		return ErrClosed
	}
}

// run is the store's goroutine, the only one that writes. Who comes while a commit
// is under way has part in the next.
func (s *Store) run() {
	for {
		var group []write
		select {
		case <-s.stop:
			return
		case w := <-s.writes:
			group = append(group, w)
		}
	more:
		for len(group) < maxGroup {
			select {
			case w := <-s.writes:
				group = append(group, w)
			default:
				break more
			}
		}
		err := s.write(group)
		for _, w := range group {
			w.done <- err
		}
	}
}

// write commits a group. When there was no room for it, the file is as it was
// before. After another failure nothing is written any more, as nobody knows what a
// failed fsync left on the disk.
func (s *Store) write(group []write) error {
	if err := s.failure(); err != nil {
		return err
	}
	err := guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			for _, w := range group {
				if err := w.do(tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err == nil {
		s.commits.Add(1)
	} else {
		s.failed.Add(1)
	}
	switch {
	case noRoom(err):
		return fmt.Errorf("store: commit to %s: %w: %w", s.db.Path(), ErrFull, err)
	case err != nil:
		err = fmt.Errorf("store: commit to %s: %w", s.db.Path(), err)
		s.fail(err)
		s.log.Error("the store takes nothing more until the server is restarted", "error", err)
	}
	return err
}

// noRoom tells whether the disk, a quota or a limit of the process had no room left.
func noRoom(err error) bool {
	return err != nil && slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, func(full error) bool {
		// Where the file could not grow, bbolt keeps only the text.
		return errors.Is(err, full) || strings.HasSuffix(err.Error(), full.Error())
	})
}
