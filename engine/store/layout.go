package store

import (
	"encoding/binary"
	"fmt"
	"log/slog"

	"go.etcd.io/bbolt"
)

// The file's buckets:
//
//	meta   "version" → u32: of this layout
//	seats  a bucket for each room: token hash → seat (seats.go)
var (
	metaBucket  = []byte("meta")
	seatsBucket = []byte("seats")
	versionKey  = []byte("version")
)

// version is that of the layout. A server refuses files of later ones.
const version = 1

// prepare makes the buckets of a new file and removes what is long expired.
func prepare(db *bbolt.DB, log *slog.Logger) error {
	return guard(func() error {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		made, err := layout(tx)
		if err != nil {
			return err
		}
		removed, err := sweep(tx, log)
		if err != nil || !made && removed == 0 {
			return err
		}
		return tx.Commit()
	})
}

// layout makes the buckets of a new file, and looks at those of an old one.
func layout(tx *bbolt.Tx) (made bool, err error) {
	meta, seats := tx.Bucket(metaBucket), tx.Bucket(seatsBucket)
	switch {
	case meta == nil && seats == nil && tx.ID() <= firstWrite: // a new file
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return false, err
		}
		if _, err := tx.CreateBucket(seatsBucket); err != nil {
			return false, err
		}
		return true, meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, version))
	case meta == nil || seats == nil:
		return false, fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	v := meta.Get(versionKey)
	if len(v) != 4 {
		return false, fmt.Errorf("%w: layout version %x", ErrDamaged, v)
	}
	if v := binary.BigEndian.Uint32(v); v != version {
		return false, fmt.Errorf("%w: the file has %d, this server knows %d: run the later server, or give it another folder", ErrVersion, v, version)
	}
	n := uint64(0)
	err = seats.ForEachBucket(func([]byte) error { n++; return nil })
	if err == nil && n != seats.Sequence() {
		err = fmt.Errorf("%w: seats of %d rooms of %d are there", ErrDamaged, n, seats.Sequence())
	}
	return false, err
}

// firstWrite is the id of the first write transaction of a new file.
const firstWrite = 2

// count adds to the number of a bucket's entries, which is kept as its sequence:
// bbolt itself does not notice entries that are missing from a damaged page.
func count(b *bbolt.Bucket, change int) error {
	return b.SetSequence(b.Sequence() + uint64(change))
}
