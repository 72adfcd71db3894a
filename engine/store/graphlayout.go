package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// A graph's file has two buckets:
//
//	meta     "version" → u32: of this layout
//	         "state"   → what all entries add up to, and the clock (encodeState)
//	entries  id → record (encodeEntry), nodes and removals alike
//
// meta is so small that bbolt keeps it within the page that names the buckets, which
// every commit writes in any case.
var (
	entriesBucket = []byte("entries")
	stateKey      = []byte("state")
)

const (
	graphVersion = 1
	graphPage    = 4096 // bytes in a page, whatever the machine's are
)

// state is the graph in figures, on the disk.
type state struct {
	head            uint64 // the highest Seq
	last            graph.Timestamp
	nodes, removals uint64
	bytes           uint64 // of ids and records
}

const stateSize = 4 + 6*8

// encodeState makes the value of "state": CRC-32C of the rest, Seq of the last
// change, physical and logical time, number of nodes, of removals, bytes.
func encodeState(s state) []byte {
	b := make([]byte, 4, stateSize)
	for _, n := range []uint64{s.head, uint64(s.last.Physical), s.last.Logical, s.nodes, s.removals, s.bytes} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

func decodeState(b []byte) (state, error) {
	if len(b) != stateSize || crc32.Checksum(b[4:], castagnoli) != binary.BigEndian.Uint32(b) {
		return state{}, fmt.Errorf("%w: the state of the graph is %x", ErrDamaged, b)
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[4+8*i:]) }
	return state{n(0), graph.Timestamp{Physical: int64(n(1)), Logical: n(2)}, n(3), n(4), n(5)}, nil
}

// change counts that the record old, nil if there was none, became now, nil if there
// is none any more.
func (s *state) change(id string, old, now []byte) {
	add := func(record []byte, n uint64) {
		switch {
		case record == nil:
			return
		case isRemoved(record):
			s.removals += n
		default:
			s.nodes += n
		}
		s.bytes += n * uint64(len(id)+len(record))
	}
	add(old, ^uint64(0)) // -1
	add(now, 1)
}

// The flags of a record.
const (
	flagRemoved = 1 << iota
	flagLive
)

// recordHead is what every record has: sum, flags, Seq.
const recordHead = 4 + 1 + 8

// encodeEntry makes an entry's record:
//
//	u32      CRC-32C of the id and of what follows
//	u8       flags: 1 removed, 2 live
//	u64      Seq, big-endian, as the sum is
//	varint   physical time
//	uvarint  logical time
//	uvarint  length of the value, and the value
//	uvarint  number of edges, and of each the length and the id
//	         the rest is Extra
func encodeEntry(e graph.Entry) []byte {
	size := recordHead + 4*binary.MaxVarintLen64 + len(e.Value) + len(e.Extra)
	for _, id := range e.Edges {
		size += binary.MaxVarintLen16 + len(id)
	}
	b := make([]byte, 4, size)
	flags := byte(0)
	if e.Removed {
		flags |= flagRemoved
	}
	if e.Live {
		flags |= flagLive
	}
	b = binary.BigEndian.AppendUint64(append(b, flags), e.Seq)
	b = binary.AppendVarint(b, e.Timestamp.Physical)
	b = binary.AppendUvarint(b, e.Timestamp.Logical)
	b = append(binary.AppendUvarint(b, uint64(len(e.Value))), e.Value...)
	b = binary.AppendUvarint(b, uint64(len(e.Edges)))
	for _, id := range e.Edges {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	b = append(b, e.Extra...)
	binary.BigEndian.PutUint32(b, recordSum([]byte(e.ID), b))
	return b
}

func recordSum(id, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(id, castagnoli), castagnoli, record[4:])
}

func isRemoved(record []byte) bool { return record[4]&flagRemoved != 0 }

func seqOf(record []byte) uint64 { return binary.BigEndian.Uint64(record[5:]) }

// checkRecord fails with ErrDamaged if a record is not what was written.
func checkRecord(id, record []byte) error {
	if len(record) < recordHead || recordSum(id, record) != binary.BigEndian.Uint32(record) {
		return fmt.Errorf("%w: the entry of %q", ErrDamaged, id)
	}
	return nil
}

// decodeEntry reads a record. The entry shares no memory with it.
func decodeEntry(id string, record []byte) (graph.Entry, error) {
	if err := checkRecord([]byte(id), record); err != nil {
		return graph.Entry{}, err
	}
	r := recordReader{rest: append([]byte(nil), record[recordHead:]...)}
	e := graph.Entry{ID: id, Removed: isRemoved(record), Live: record[4]&flagLive != 0, Seq: seqOf(record)}
	e.Timestamp = graph.Timestamp{Physical: r.varint(), Logical: r.uvarint()}
	e.Value = r.bytes()
	if n := r.uvarint(); n > uint64(len(r.rest)) { // each has a byte at least
		r.bad = true
	} else if n > 0 {
		e.Edges = make([]string, n)
		for i := range e.Edges {
			e.Edges[i] = string(r.bytes())
		}
	}
	if len(r.rest) > 0 {
		e.Extra = r.rest
	}
	if r.bad {
		return graph.Entry{}, fmt.Errorf("%w: the entry of %q is cut short", ErrDamaged, id)
	}
	return e, nil
}

// recordReader reads the parts of a record; bad says that one was not there.
type recordReader struct {
	rest []byte
	bad  bool
}

func (r *recordReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *recordReader) varint() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// bytes reads a length and as many bytes; nil for none.
func (r *recordReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
	}
	if r.bad || n == 0 {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// prepareGraph makes the buckets of a new file, and reads through those of an old one.
func prepareGraph(db *bbolt.DB) (s state, err error) {
	err = guard(func() error {
		var isNew bool
		err := db.View(func(tx *bbolt.Tx) error {
			isNew = tx.Bucket(metaBucket) == nil && tx.Bucket(entriesBucket) == nil && tx.ID() < firstWrite
			if isNew {
				return nil
			}
			var err error
			s, err = readGraph(tx)
			return err
		})
		if err != nil || !isNew {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error {
			meta, err := tx.CreateBucket(metaBucket)
			if err != nil {
				return err
			}
			_, err = tx.CreateBucket(entriesBucket)
			return errors.Join(err,
				meta.Put(versionKey, binary.BigEndian.AppendUint32(nil, graphVersion)),
				meta.Put(stateKey, encodeState(s)))
		})
	})
	return s, err
}

// readGraph reads all entries and compares them with the state: bbolt itself does not
// notice entries that are missing from a damaged page.
func readGraph(tx *bbolt.Tx) (state, error) {
	meta, entries := tx.Bucket(metaBucket), tx.Bucket(entriesBucket)
	if meta == nil || entries == nil {
		return state{}, fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	v := meta.Get(versionKey)
	if len(v) != 4 {
		return state{}, fmt.Errorf("%w: layout version %x", ErrDamaged, v)
	}
	if v := binary.BigEndian.Uint32(v); v != graphVersion {
		return state{}, fmt.Errorf("%w: the file has %d, this server knows %d: run the later server, or give it another folder", ErrVersion, v, graphVersion)
	}
	s, err := decodeState(meta.Get(stateKey))
	if err != nil {
		return state{}, err
	}
	is := state{head: s.head, last: s.last}
	err = entries.ForEach(func(id, record []byte) error {
		if err := checkRecord(id, record); err != nil {
			return err
		}
		is.change(string(id), nil, record)
		return nil
	})
	if err == nil && is != s {
		err = fmt.Errorf("%w: there are %d nodes and %d removals of %d bytes, of %d, %d and %d", ErrDamaged,
			is.nodes, is.removals, is.bytes, s.nodes, s.removals, s.bytes)
	}
	return s, err
}
