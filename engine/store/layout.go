package store

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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

var errNotOpen = bolterrors.ErrDatabaseNotOpen

// layout makes the buckets that are not there yet.
func (s *Store) layout(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	switch v := meta.Get(versionKey); {
	case v == nil:
		if err := meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, version)); err != nil {
			return err
		}
	case len(v) != 4:
		return fmt.Errorf("%w: version %x", ErrDamaged, v)
	case binary.BigEndian.Uint32(v) > version:
		return fmt.Errorf("it has layout version %d, this server knows up to %d: run the later server, or give it another folder", binary.BigEndian.Uint32(v), version)
	}
	_, err = tx.CreateBucketIfNotExists(seatsBucket)
	return err
}
