package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment file is a header and entries, all integers little-endian:
//
//	header  magic "GRTCJNL1" | first u64 | after u64 | boot [16] | CRC-32C of these, u32
//	entry   length u32 | time i64, Unix nanoseconds | CRC-32C of offset, length and time, u32 |
//	        CRC-32C of the data, u32 | data
//
// first is the offset of the segment's first entry; the others count on from it.
// after is the offset of the entry before it, so that a missing segment is noticed.
// boot is which start of the machine it was written in, see bootID. An entry's
// header has a checksum of its own: it tells an entry that was cut off by the end
// of the process (header good, data short) from one that was damaged later.
const (
	magic           = "GRTCJNL1"
	headerSize      = 8 + 8 + 8 + 16 + 4
	entryHeaderSize = 4 + 8 + 4 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type header struct {
	first, after uint64
	boot         [16]byte
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, h.after)
	b = append(b, h.boot[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader takes exactly headerSize bytes.
func decodeHeader(b []byte) (h header, err error) {
	if string(b[:8]) != magic {
		return h, fmt.Errorf("%w: not a segment of this version: it begins with %q", ErrDamaged, b[:8])
	}
	if got, want := crc32.Checksum(b[:headerSize-4], castagnoli), binary.LittleEndian.Uint32(b[headerSize-4:]); got != want {
		return h, fmt.Errorf("%w: header: checksum %08x, want %08x", ErrDamaged, got, want)
	}
	h.first = binary.LittleEndian.Uint64(b[8:])
	h.after = binary.LittleEndian.Uint64(b[16:])
	copy(h.boot[:], b[24:])
	if h.first == 0 || h.after >= h.first {
		return h, fmt.Errorf("%w: header: first offset %d after %d", ErrDamaged, h.first, h.after)
	}
	return h, nil
}

func appendEntry(b []byte, offset uint64, nanos int64, data []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint64(b, uint64(nanos))
	b = binary.LittleEndian.AppendUint32(b, headerSum(offset, b[at:]))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(data, castagnoli))
	return append(b, data...)
}

// headerSum is the checksum of an entry's length and time, and of its offset, which
// is not written: an entry in the wrong place is not mistaken for the right one.
func headerSum(offset uint64, b []byte) uint32 {
	sum := ^uint32(0)
	for range 8 { // as crc32.Update, which would have memory allocated
		sum = castagnoli[byte(sum)^byte(offset)] ^ sum>>8
		offset >>= 8
	}
	return crc32.Update(^sum, castagnoli, b[:12])
}

type entryHeader struct {
	length int
	nanos  int64
	sum    uint32 // of the data
}

// size is the entry's, on disk.
func (h entryHeader) size() int64 { return entryHeaderSize + int64(h.length) }

// decodeEntryHeader takes at least entryHeaderSize bytes.
func decodeEntryHeader(b []byte, offset uint64) (h entryHeader, err error) {
	if got, want := headerSum(offset, b), binary.LittleEndian.Uint32(b[12:]); got != want {
		return h, fmt.Errorf("%w: entry %d: header checksum %08x, want %08x", ErrDamaged, offset, got, want)
	}
	length := binary.LittleEndian.Uint32(b)
	if length > MaxEntry {
		return h, fmt.Errorf("%w: entry %d: length %d", ErrDamaged, offset, length)
	}
	return entryHeader{int(length), int64(binary.LittleEndian.Uint64(b[4:])), binary.LittleEndian.Uint32(b[16:])}, nil
}

// check compares data with its checksum.
func (h entryHeader) check(data []byte, offset uint64) error {
	if got := crc32.Checksum(data, castagnoli); got != h.sum {
		return fmt.Errorf("%w: entry %d: checksum %08x, want %08x", ErrDamaged, offset, got, h.sum)
	}
	return nil
}
