package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// openFile opens a file of bbolt, or makes it, and its folder, and has it prepared. It
// reads all of it before: one that is damaged is left as it is. without says what it
// means to go on without the file.
func openFile(path string, log *slog.Logger, options *bbolt.Options, without string, prepare func(*bbolt.DB) error) (db *bbolt.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() {
		switch {
		case errors.Is(err, bolterrors.ErrTimeout):
			err = fmt.Errorf("%w (%s is locked)", ErrInUse, path)
		case errors.Is(err, ErrDamaged):
			err = fmt.Errorf("open %s: %w: put a backup in its place, or move the file away, and start again; %s", path, err, without)
		case err != nil:
			err = fmt.Errorf("store: open %s: %w", path, err)
		}
	}()
	if err := check(path, log); err != nil {
		return nil, err
	}
	options.Timeout = lockTimeout
	if db, err = bbolt.Open(path, 0o600, options); err != nil {
		return nil, err
	}
	if err := prepare(db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}
