package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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
			n := uint64(0)
			err := b.ForEach(func(key, value []byte) error {
				n++
				seat, err := decodeSeat(room, key, value)
				if err != nil {
					bad = append(bad, err)
				} else {
					seats = append(seats, seat)
				}
				return nil
			})
			if n != b.Sequence() {
				bad = append(bad, fmt.Errorf("%w: %d of %d are there", ErrDamaged, n, b.Sequence()))
			}
			return errors.Join(err, errors.Join(bad...))
		})
	})
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
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
			if err := put(tx.Bucket(seatsBucket), seat, values[i]); err != nil {
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
		keys := make([][]byte, len(tokens))
		for i := range tokens {
			keys[i] = tokens[i][:]
		}
		return remove(tx.Bucket(seatsBucket), []byte(room), keys)
	})
}

func put(seats *bbolt.Bucket, seat Seat, value []byte) error {
	room := []byte(seat.Room)
	b := seats.Bucket(room)
	if b == nil {
		var err error
		if b, err = seats.CreateBucket(room); err != nil {
			return err
		}
		if err := count(seats, 1); err != nil {
			return err
		}
	}
	if b.Get(seat.Token[:]) == nil {
		if err := count(b, 1); err != nil {
			return err
		}
	}
	return b.Put(seat.Token[:], value)
}

// remove deletes keys of a room, and the room with its last one, so that rooms of the
// past leave nothing.
func remove(seats *bbolt.Bucket, room []byte, keys [][]byte) error {
	b := seats.Bucket(room)
	if b == nil {
		return nil
	}
	for _, key := range keys {
		if b.Get(key) == nil {
			continue
		}
		if err := errors.Join(b.Delete(key), count(b, -1)); err != nil {
			return err
		}
	}
	if key, _ := b.Cursor().First(); key != nil {
		return nil
	}
	return errors.Join(seats.DeleteBucket(room), count(seats, -1))
}

// sweep removes seats that expired long ago and returns how many. A damaged seat stays,
// to be told of by Seats, and is logged, as its room's name may be what is damaged.
func sweep(tx *bbolt.Tx, log *slog.Logger) (removed int, err error) {
	limit := time.Now().Add(-keepExpired)
	seats := tx.Bucket(seatsBucket)
	old := map[string][][]byte{}
	err = seats.ForEachBucket(func(room []byte) error {
		var bad []error
		err := seats.Bucket(room).ForEach(func(key, value []byte) error {
			seat, err := decodeSeat(string(room), key, value)
			if err != nil {
				bad = append(bad, err)
			} else if seat.Expires.Before(limit) {
				old[seat.Room] = append(old[seat.Room], slices.Clone(key))
			}
			return nil
		})
		if len(bad) > 0 {
			log.Error("seats in the store are damaged; their sessions are not resumed", "room", string(room), "seats", len(bad), "error", bad[0])
		}
		return err
	})
	for room, keys := range old {
		err = errors.Join(err, remove(seats, []byte(room), keys))
		removed += len(keys)
	}
	return removed, err
}

// A record is seatVersion, the CRC-32C of the room, the key and what follows (bbolt
// has checksums of its root alone), and a MessagePack map. Fields may be added to the
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

func seatSum(room string, key, body []byte) uint32 {
	sum := crc32.Checksum([]byte(room), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, body)
}

func encodeSeat(s Seat) ([]byte, error) {
	body, err := msgpack.Marshal(seatRecord{s.ID, s.Identity, s.Joined, s.Taken, s.Resume, s.Expires, s.User})
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32([]byte{seatVersion}, seatSum(s.Room, s.Token[:], body))
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
	if got, want := seatSum(room, key, body), binary.LittleEndian.Uint32(value[1:]); got != want {
		return Seat{}, fmt.Errorf("%w: a seat with checksum %08x, want %08x", ErrDamaged, got, want)
	}
	var r seatRecord
	if err := msgpack.Unmarshal(body, &r); err != nil {
		return Seat{}, fmt.Errorf("%w: a seat: %w", ErrDamaged, err)
	}
	return Seat{[32]byte(key), room, r.ID, r.Identity, r.Joined, r.Taken, r.Resume, r.Expires, r.User}, nil
}
