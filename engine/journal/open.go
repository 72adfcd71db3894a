package journal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Damage is something that Open found damaged. Entries that are still good are kept.
type Damage struct {
	// First and Last bound the offsets that are lost. Where nobody can say how
	// many entries there were, Last is the most that there can have been.
	First, Last uint64
	// Aside is the file that the damaged segment was moved or copied to, as it
	// was; empty if the segment is missing.
	Aside string
	Err   error // wraps ErrDamaged
}

// leap is what the next offset leaves out when the machine started anew, as entries
// that had been given away, and were not yet synced, may be lost: more than can be
// appended between two fsyncs. docs/gateway.md's 2^53 allow for 2^29 such leaps.
const leap = 1 << 24

// Open opens the journal in cfg.Dir, or makes one. It reads the whole of it once.
//
// An entry that the end of the process cut short is cut off, and logged. A segment
// that is damaged in any other way is logged, told by [Journal.Damage] and copied
// aside; its entries before the damage are kept. Open fails only where the disk or
// its permissions do.
func Open(cfg Config) (*Journal, error) {
	j := &Journal{
		dir:        cfg.Dir,
		syncEvery:  cfg.SyncEvery,
		log:        cfg.Logger,
		retention:  newRetention(cfg.MaxAge, cfg.MaxBytes),
		syncedMore: make(chan struct{}),
		pokeDirty:  make(chan struct{}, 1),
		pokeUrgent: make(chan struct{}, 1),
		pokeDead:   make(chan struct{}, 1),
		stop:       make(chan struct{}),
	}
	if j.syncEvery <= 0 {
		j.syncEvery = DefaultSyncEvery
	}
	if j.log == nil {
		j.log = slog.Default()
	}
	if err := j.loadSegments(max(cfg.First, 1)); err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", cfg.Dir, err)
	}
	for _, d := range j.damage {
		j.log.Error("the journal is damaged", "dir", j.dir, "first_lost", d.First, "last_lost", d.Last, "aside", d.Aside, "error", d.Err)
	}
	j.trim(time.Now())
	j.bury()
	// What an earlier process wrote may not be synced yet.
	j.dirty, j.newFile = true, true
	for _, s := range j.segments[:len(j.segments)-1] {
		f, err := os.OpenFile(s.path, os.O_RDWR, 0)
		if err != nil {
			closeAll(j.segments)
			return nil, fmt.Errorf("journal: open %s: %w", cfg.Dir, err)
		}
		s.file = f
	}
	poke(j.pokeDirty)
	j.done.Go(j.run)
	return j, nil
}

// loadSegments reads the folder; it leaves at least one segment, the last one active.
// fresh is the first offset of a journal that is new.
func (j *Journal) loadSegments(fresh uint64) error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	files, err := segmentFiles(j.dir)
	if err != nil {
		return err
	}
	next := uint64(1) // the offset that the next entry gets
	if len(files) == 0 {
		next = fresh
	}
	leave := false // whether the last segment is left as it is, and a new one begun
	for i, f := range files {
		newest := i == len(files)-1
		s, problem, err := scanFile(f)
		if err != nil {
			return err
		}
		n := len(j.segments)
		if problem == nil && n > 0 && s.first <= j.segments[n-1].last() {
			s, problem = &segment{}, fmt.Errorf("%w: it has offsets of the segment before it", ErrDamaged)
		}
		switch {
		case problem == nil:
		case newest && errors.Is(problem, errTorn):
			if err := j.cutTorn(s, f); err != nil {
				return err
			}
			next = max(next, f.first)
		default:
			// Every entry takes at least its header's bytes.
			most := uint64(f.size-s.end)/entryHeaderSize + 1
			d := Damage{First: f.first + s.count, Err: fmt.Errorf("%w: %s: %w", ErrDamaged, f.path, problem)}
			if d.Last = d.First + most - 1; !newest {
				d.Last = max(d.First, files[i+1].first-1)
			}
			if d.Aside, err = setAside(f, s.end); err != nil {
				return err
			}
			j.damage = append(j.damage, d)
			next, leave = max(next, d.Last+1), true
		}
		if s.end < headerSize {
			continue // nothing of it is left
		}
		leave = problem != nil && !errors.Is(problem, errTorn) || s.boot != bootID()
		if n > 0 && s.after > j.segments[n-1].last() && !j.told(s.after) {
			j.damage = append(j.damage, Damage{First: j.segments[n-1].last() + 1, Last: s.after,
				Err: fmt.Errorf("%w: entries are missing before %s", ErrDamaged, f.path)})
		}
		if s.boot != bootID() {
			next = max(next, s.first+s.count+leap)
		}
		next = max(next, s.first+s.count)
		j.segments = append(j.segments, s)
		j.bytes += s.end
	}
	return j.activate(next, leave)
}

// told says whether the loss of the entry at offset is among the damage already.
func (j *Journal) told(offset uint64) bool {
	return slices.ContainsFunc(j.damage, func(d Damage) bool { return d.First <= offset && offset <= d.Last })
}

// activate opens the last segment for appending, or begins a new one at next.
func (j *Journal) activate(next uint64, leave bool) error {
	n := len(j.segments)
	// The offsets before next were given away, or may have been.
	j.last = next - 1
	var after uint64
	if n > 0 {
		s := j.segments[n-1]
		if after = s.last(); !leave && next == s.first+s.count {
			f, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND, 0)
			s.file = f
			return err
		}
	}
	s, err := createSegment(j.dir, next, after)
	if err != nil {
		return err
	}
	j.segments = append(j.segments, s)
	j.bytes += s.end
	return nil
}

type segmentFile struct {
	path  string
	first uint64 // by its name
	size  int64
}

// segmentFiles lists the folder's segments in order. Other files are none of ours.
func segmentFiles(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var files []segmentFile
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		first, err := strconv.ParseUint(digits, 10, 64)
		if !ok || len(digits) != 20 || err != nil || first == 0 {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, segmentFile{filepath.Join(dir, e.Name()), first, info.Size()})
	}
	return files, nil
}

// scanFile reads a segment. problem says what is wrong with its content, err why it
// cannot be read.
func scanFile(f segmentFile) (s *segment, problem, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	s, err = scan(file, f.size)
	s.path = f.path
	if err != nil && !errors.Is(err, errTorn) && !errors.Is(err, ErrDamaged) {
		return nil, nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	if s.end >= headerSize && s.first != f.first {
		s = &segment{path: f.path}
		err = fmt.Errorf("%w: it is another segment under this name", ErrDamaged)
	}
	return s, err, nil
}

// cutTorn cuts off what the end of the process left of an entry, or of a segment
// that had none yet.
func (j *Journal) cutTorn(s *segment, f segmentFile) error {
	j.log.Warn("the journal ends within an entry that was not acknowledged; it is cut off", "segment", f.path, "bytes", f.size-s.end)
	if s.end < headerSize {
		return os.Remove(f.path)
	}
	return os.Truncate(f.path, s.end)
}

// setAside keeps a damaged segment as it is under another name, for whoever wants to
// look at it, and cuts the segment itself to its good bytes, if it has any.
func setAside(f segmentFile, good int64) (aside string, err error) {
	aside = fmt.Sprintf("%s.damaged-%s", f.path, time.Now().UTC().Format("20060102T150405.000000000"))
	if good < headerSize {
		return aside, os.Rename(f.path, aside)
	}
	in, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(aside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", fmt.Errorf("copy %s aside: %w", f.path, err)
	}
	return aside, os.Truncate(f.path, good)
}
