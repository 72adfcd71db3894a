package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

// Seat is what is kept of a session's place in a room.
type Seat struct {
	Token    [32]byte      // a SHA-256 that includes the resume token, never the token itself
	Room     string        // the database name
	ID       string        // the peer id that the client has
	Identity uint8         // the engine's number for how the mesh sees it
	Joined   uint64        // the room's last message before it
	Taken    uint64        // the highest seq of the client that was accepted
	Resume   time.Duration // that it lives without a connection
	Expires  time.Time     // when it can no longer be resumed
	User     string        // who the client is, by its token of authentication
}

// keepExpired is how long a seat that nobody deletes is kept after it expired.
// [Open] removes those of rooms that are not configured any more, say.
const keepExpired = 24 * time.Hour

// Seats returns the seats of a room, expired ones too, in no useful order. With an
// error that wraps [ErrDamaged] come the seats that are good.
func (s *Store) Seats(room string) (seats []Seat, err error) {
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(seatsBucket).Bucket([]byte(room))
			if b == nil {
				return nil
			}
			var bad []error
			err := b.ForEach(func(key, value []byte) error {
				seat, err := decodeSeat(room, key, value)
				if err != nil {
					bad = append(bad, err)
				} else {
					seats = append(seats, seat)
				}
				return nil
			})
			return errors.Join(err, errors.Join(bad...))
		})
	})
	if errors.Is(err, errNotOpen) {
		return nil, ErrClosed
	}
	if err != nil {
		return seats, fmt.Errorf("store: seats of room %q: %w", room, err)
	}
	return seats, nil
}

// Put adds seats, or replaces those of the same room and token. It returns once they
// would survive a power cut. Either all of them are kept or none.
func (s *Store) Put(seats ...Seat) error {
	values := make([][]byte, len(seats))
	for i, seat := range seats {
		if seat.Room == "" || len(seat.Room) > maxRoom {
			return fmt.Errorf("store: put a seat: a room name has 1 to %d bytes, this one %d", maxRoom, len(seat.Room))
		}
		var err error
		if values[i], err = encodeSeat(seat); err != nil {
			return fmt.Errorf("store: put a seat of room %q: %w", seat.Room, err)
		}
	}
	if len(seats) == 0 {
		return nil
	}
	return s.commit(func(tx *bbolt.Tx) error {
		for i, seat := range seats {
			b, err := tx.Bucket(seatsBucket).CreateBucketIfNotExists([]byte(seat.Room))
			if err != nil {
				return err
			}
			if err := b.Put(seat.Token[:], values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete removes seats of a room by their tokens. Those that are not there are none
// the worse. It returns as Put does.
func (s *Store) Delete(room string, tokens ...[32]byte) error {
	if len(tokens) == 0 {
		return nil
	}
	return s.commit(func(tx *bbolt.Tx) error {
		b := tx.Bucket(seatsBucket).Bucket([]byte(room))
		if b == nil {
			return nil
		}
		for _, token := range tokens {
			if err := b.Delete(token[:]); err != nil {
				return err
			}
		}
		return dropEmpty(tx, []byte(room))
	})
}

// dropEmpty removes a room without seats, so that rooms of the past leave nothing.
func dropEmpty(tx *bbolt.Tx, room []byte) error {
	seats := tx.Bucket(seatsBucket)
	if key, _ := seats.Bucket(room).Cursor().First(); key != nil {
		return nil
	}
	return seats.DeleteBucket(room)
}

// removeExpired removes seats that expired long ago. It reads every seat, and so
// meets whatever bbolt cannot read.
func removeExpired(tx *bbolt.Tx) error {
	limit := time.Now().Add(-keepExpired)
	type old struct{ room, key []byte }
	var olds []old
	seats := tx.Bucket(seatsBucket)
	err := seats.ForEachBucket(func(room []byte) error {
		return seats.Bucket(room).ForEach(func(key, value []byte) error {
			// A damaged one stays, to be told of by Seats.
			if seat, err := decodeSeat("", key, value); err == nil && seat.Expires.Before(limit) {
				olds = append(olds, old{room, key})
			}
			return nil
		})
	})
	for _, o := range olds {
		if err == nil {
			err = seats.Bucket(o.room).Delete(o.key)
		}
	}
	for _, o := range olds {
		if err == nil && seats.Bucket(o.room) != nil {
			err = dropEmpty(tx, o.room)
		}
	}
	return err
}

// A record is seatVersion, the CRC-32C of the key and of what follows (bbolt has
// checksums of its root alone), and a MessagePack map. Fields may be added to the
// map; what cannot be said by that gets a new version.
const seatVersion = 1

const maxRoom = 1024

type seatRecord struct {
	ID       string        `msgpack:"id"`
	Identity uint8         `msgpack:"identity"`
	Joined   uint64        `msgpack:"joined"`
	Taken    uint64        `msgpack:"taken"`
	Resume   time.Duration `msgpack:"resume"`
	Expires  time.Time     `msgpack:"expires"`
	User     string        `msgpack:"user,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seatSum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

func encodeSeat(s Seat) ([]byte, error) {
	body, err := msgpack.Marshal(seatRecord{s.ID, s.Identity, s.Joined, s.Taken, s.Resume, s.Expires, s.User})
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte{seatVersion}, seatSum(s.Token[:], body))
	return append(b, body...), nil
}

func decodeSeat(room string, key, value []byte) (Seat, error) {
	if len(key) != 32 || len(value) < 5 {
		return Seat{}, fmt.Errorf("%w: a seat of %d and %d bytes", ErrDamaged, len(key), len(value))
	}
	if value[0] != seatVersion {
		return Seat{}, fmt.Errorf("%w: a seat of version %d, this server knows %d", ErrDamaged, value[0], seatVersion)
	}
	body := value[5:]
	if got, want := seatSum(key, body), binary.LittleEndian.Uint32(value[1:]); got != want {
		return Seat{}, fmt.Errorf("%w: a seat with checksum %08x, want %08x", ErrDamaged, got, want)
	}
	var r seatRecord
	if err := msgpack.Unmarshal(body, &r); err != nil {
		return Seat{}, fmt.Errorf("%w: a seat: %w", ErrDamaged, err)
	}
	return Seat{[32]byte(key), room, r.ID, r.Identity, r.Joined, r.Taken, r.Resume, r.Expires, r.User}, nil
}
