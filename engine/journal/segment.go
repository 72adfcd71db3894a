package journal

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const segmentSuffix = ".journal"

// indexEvery is how many bytes of a segment go without a mark in its index: what a
// Read passes over at most, and 16 bytes of memory each.
const indexEvery = 16 << 10

// segment is one file. From file on, its fields change under the journal's mu; those
// below the line do no longer when another segment is the active one.
type segment struct {
	path string
	header
	file    *os.File // nil once it is sealed and synced: readers then open path
	dropped bool     // by retention

	count          uint64
	end            int64 // bytes that hold the header and whole entries
	oldest, newest int64 // times of entries, Unix nanoseconds
	index          []mark
}

// mark says where an entry begins.
type mark struct {
	offset uint64
	pos    int64
}

// last is the offset of the newest entry, of the one before the segment if it is empty.
func (s *segment) last() uint64 {
	if s.count == 0 {
		return s.after
	}
	return s.first + s.count - 1
}

// add notes an entry at pos.
func (s *segment) add(pos int64, offset uint64, nanos int64) {
	if len(s.index) == 0 || pos-s.index[len(s.index)-1].pos >= indexEvery {
		s.index = append(s.index, mark{offset, pos})
	}
	if s.count == 0 {
		s.oldest, s.newest = nanos, nanos
	}
	s.oldest, s.newest = min(s.oldest, nanos), max(s.newest, nanos)
	s.count++
}

// full says whether more bytes should go to a new segment, by size or because the
// oldest entry is so old that the segment should stop growing.
func (s *segment) full(more, limit int64, now time.Time, maxAge time.Duration) bool {
	return s.count > 0 && (s.end+more > limit || now.UnixNano()-s.oldest > int64(maxAge/parts))
}

// createSegment makes the file with its header.
func createSegment(dir string, first, after uint64) (*segment, error) {
	s := &segment{
		path:   filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix)),
		header: header{first, after, bootID()},
		end:    headerSize,
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(s.encode()); err != nil {
		f.Close()
		os.Remove(s.path)
		return nil, fmt.Errorf("write the header of %s: %w", s.path, err)
	}
	s.file = f
	return s, nil
}

// errTorn says that a segment ends within an entry: the process died as it wrote it.
var errTorn = errors.New("ends within an entry")

// scan reads a segment of size bytes from r and returns what of it is good. The
// error is io's, errTorn, or wraps ErrDamaged; with the latter two the segment is
// good up to its end (which is 0 if the header is not). It holds one entry in
// memory at a time.
func scan(r io.Reader, size int64) (*segment, error) {
	s := &segment{}
	br := bufio.NewReaderSize(r, 64<<10)
	var b [max(headerSize, entryHeaderSize)]byte
	if size < headerSize {
		return s, errTorn
	}
	if _, err := io.ReadFull(br, b[:headerSize]); err != nil {
		return s, err
	}
	var err error
	if s.header, err = decodeHeader(b[:headerSize]); err != nil {
		return s, err
	}
	s.end = headerSize
	var data []byte
	for s.end < size {
		left := size - s.end
		if left < entryHeaderSize {
			return s, errTorn
		}
		if _, err := io.ReadFull(br, b[:entryHeaderSize]); err != nil {
			return s, err
		}
		offset := s.first + s.count
		h, err := decodeEntryHeader(b[:entryHeaderSize], offset)
		if err != nil {
			return s, err
		}
		if left < h.size() {
			return s, errTorn
		}
		data = slices.Grow(data[:0], h.length)[:h.length]
		if _, err := io.ReadFull(br, data); err != nil {
			return s, err
		}
		if err := h.check(data, offset); err != nil {
			return s, err
		}
		s.add(s.end, offset, h.nanos)
		s.end += h.size()
	}
	return s, nil
}

// reader reads a stretch of a segment that does not change any more.
type reader struct {
	path     string
	file     *os.File // nil: open path
	pos, end int64
	offset   uint64 // of the entry at pos
}

// reader begins at the last mark before from. The caller holds mu; s has entries.
func (s *segment) reader(from uint64) *reader {
	i, found := slices.BinarySearchFunc(s.index, from, func(m mark, o uint64) int { return cmp.Compare(m.offset, o) })
	if !found {
		i = max(i-1, 0)
	}
	return &reader{s.path, s.file, s.index[i].pos, s.end, s.index[i].offset}
}

func (r *reader) read(from uint64, maxBytes int, buf []Entry) ([]Entry, error) {
	if r.file == nil {
		f, err := os.Open(r.path)
		if err != nil {
			return buf, fmt.Errorf("journal: %w", err)
		}
		defer f.Close()
		r.file = f
	}
	chunk, err := r.load(indexEvery + entryHeaderSize + int64(max(maxBytes, 0)))
	if err != nil {
		return buf, err
	}
	given, room := 0, maxBytes
	for r.pos < r.end {
		var h entryHeader
		if len(chunk) >= entryHeaderSize {
			if h, err = decodeEntryHeader(chunk, r.offset); err != nil {
				return buf, fmt.Errorf("%w (%s)", err, r.path)
			}
		}
		if len(chunk) < entryHeaderSize || int64(len(chunk)) < h.size() {
			if given > 0 {
				break
			}
			if left := r.end - r.pos; left < max(entryHeaderSize, h.size()) {
				return buf, fmt.Errorf("%w: entry %d: %d bytes are left for it (%s)", ErrDamaged, r.offset, left, r.path)
			}
			// The first wanted entry, or one before it, reaches beyond the chunk.
			if chunk, err = r.load(max(entryHeaderSize, h.size())); err != nil {
				return buf, err
			}
			continue
		}
		if r.offset >= from {
			if given > 0 && h.length > room {
				break
			}
			data := chunk[entryHeaderSize:h.size():h.size()]
			if err := h.check(data, r.offset); err != nil {
				return buf, fmt.Errorf("%w (%s)", err, r.path)
			}
			buf = append(buf, Entry{r.offset, time.Unix(0, h.nanos), data})
			given++
			room -= h.length
		}
		chunk = chunk[h.size():]
		r.pos += h.size()
		r.offset++
	}
	return buf, nil
}

// load reads up to n bytes from pos on.
func (r *reader) load(n int64) ([]byte, error) {
	b := make([]byte, min(n, r.end-r.pos))
	if _, err := r.file.ReadAt(b, r.pos); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it is shorter than it was", ErrDamaged)
		}
		return nil, fmt.Errorf("journal: read %s: %w", r.path, err)
	}
	return b, nil
}
