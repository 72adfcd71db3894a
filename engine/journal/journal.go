// Package journal keeps the ordered record of one room's recent messages on disk.
//
// A [Journal] is a folder of segment files. Entries have offsets, which rise. They
// are appended with one write(2), so that a killed process loses none that was
// acknowledged; fsync follows in groups, which bounds what a power cut can take.
// Retention drops whole segments, the oldest first. Why it is our own and not a
// library, and what it costs, stands in docs/decisions.md, "The journal".
//
// Whoever opens a journal sees to it that nobody else has the folder open
// (package store holds the lock of a data folder).
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultMaxAge and DefaultMaxBytes are what [Config] and
	// [Journal.SetRetention] mean by zero.
	DefaultMaxAge   = 5 * time.Minute
	DefaultMaxBytes = 64 << 20
	// DefaultSyncEvery is what [Config] means by zero.
	DefaultSyncEvery = 100 * time.Millisecond

	// MaxEntry bounds the data of one entry, in bytes.
	MaxEntry = 16 << 20
)

var (
	// ErrGone is returned by [Journal.Read] for an offset that retention dropped.
	ErrGone = errors.New("journal: the entry is no longer kept")
	// ErrDamaged is wrapped by errors that tell of bytes on disk which are not
	// what was written.
	ErrDamaged = errors.New("journal: damaged")
	// ErrTooLarge is returned by [Journal.Append] for an entry above [MaxEntry].
	ErrTooLarge = errors.New("journal: entry too large")
	// ErrClosed is returned after [Journal.Close].
	ErrClosed = errors.New("journal: closed")
)

// Config says where a journal is and how much it keeps.
type Config struct {
	// Dir is the folder of this journal alone. It is made if need be, for the
	// owner's eyes only.
	Dir string
	// MaxAge and MaxBytes are the retention: see [Journal.SetRetention].
	MaxAge   time.Duration
	MaxBytes int64
	// First is the offset of the first entry, where there is no journal yet; zero
	// means 1.
	First uint64
	// SyncEvery is how long an entry may wait for its fsync while nobody waits
	// in [Journal.WaitSynced].
	SyncEvery time.Duration
	// Logger gets what an operator should know; nil means slog.Default().
	Logger *slog.Logger
}

// Entry is one entry as it was appended.
type Entry struct {
	Offset uint64
	Time   time.Time // when it was appended, by this machine's clock
	Data   []byte
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	dir       string
	syncEvery time.Duration
	log       *slog.Logger
	damage    []Damage

	// writing is held by whoever writes to the active segment or starts a new
	// one, while it does: it is what orders the writes. Nobody else takes it.
	writing sync.Mutex
	scratch []byte // of Append

	mu         sync.Mutex // held for moments, never over I/O
	retention  retention
	segments   []*segment // never empty; the last one is active
	bytes      int64      // of all segments
	last       uint64
	dead       []*segment // dropped segments whose files are still to be removed
	newFile    bool       // a file was made since the folder was last synced
	dirty      bool       // there is something to sync
	synced     uint64
	syncedMore chan struct{} // closed and replaced when synced or err changes
	err        error         // the first failure of a write or fsync; ErrClosed after Close

	// Pokes for the goroutine in sync.go; each holds one.
	pokeDirty, pokeUrgent, pokeDead chan struct{}

	stop chan struct{}
	done sync.WaitGroup
}

// Append writes entries at the end, with one write(2), before it returns. They get
// consecutive offsets, of which the last is returned. Data is not retained. With
// no entries it changes nothing and returns [Journal.Last].
//
// On an error no entry was appended; that a process dies meanwhile may leave the
// first ones of a batch. After a write or fsync has failed every Append returns
// that error, since what the disk then holds is unknown (docs/decisions.md):
// close the journal and open it anew.
func (j *Journal) Append(entries ...[]byte) (last uint64, err error) {
	j.writing.Lock()
	defer j.writing.Unlock()

	j.mu.Lock()
	last, err = j.last, j.err
	active, maxAge, limit := j.segments[len(j.segments)-1], j.retention.maxAge, j.retention.segmentBytes()
	j.mu.Unlock()
	if err != nil || len(entries) == 0 {
		return last, err
	}
	now := time.Now()
	batch := j.scratch[:0]
	for i, data := range entries {
		if len(data) > MaxEntry {
			return last, fmt.Errorf("%w: entry %d of %d has %d bytes, at most %d are possible", ErrTooLarge, i+1, len(entries), len(data), MaxEntry)
		}
		batch = appendEntry(batch, last+uint64(i)+1, now.UnixNano(), data)
	}
	if j.scratch = batch; cap(batch) > maxScratch {
		j.scratch = nil
	}

	if active.full(int64(len(batch)), limit, now, maxAge) {
		if active, err = j.rotate(last + 1); err != nil {
			return last, err
		}
	}
	if _, err = active.file.Write(batch); err != nil {
		err = fmt.Errorf("journal: append to %s: %w", active.path, err)
		// Nothing reads past active.end, and the next Open must not either.
		if terr := active.file.Truncate(active.end); terr != nil {
			err = fmt.Errorf("%w; and the rest of it could not be cut: %w", err, terr)
		}
		j.fail(err)
		return last, err
	}

	j.mu.Lock()
	pos := active.end
	for i, data := range entries {
		active.add(pos, last+uint64(i)+1, now.UnixNano())
		pos += entryHeaderSize + int64(len(data))
	}
	active.end = pos
	j.last += uint64(len(entries))
	j.bytes += int64(len(batch))
	j.trim(now)
	wasDirty := j.dirty
	j.dirty = true
	last = j.last
	late := len(j.dead) > 4*parts
	j.mu.Unlock()
	if !wasDirty {
		poke(j.pokeDirty)
	}
	if late { // the goroutine waits for the disk; open files are bounded
		j.bury()
	}
	return last, nil
}

// maxScratch bounds the memory that an idle journal keeps for its next batch.
const maxScratch = 256 << 10

// rotate makes a new active segment that begins at first. The caller holds writing.
func (j *Journal) rotate(first uint64) (*segment, error) {
	j.mu.Lock()
	old := j.segments[len(j.segments)-1]
	after := old.last()
	j.mu.Unlock()
	s, err := createSegment(j.dir, first, after)
	if err != nil {
		err = fmt.Errorf("journal: new segment: %w", err)
		j.fail(err)
		return nil, err
	}
	j.mu.Lock()
	j.segments = append(j.segments, s)
	j.bytes += s.end
	j.newFile = true
	j.mu.Unlock()
	return s, nil
}

// First is the offset of the oldest entry that is kept, 0 if there is none.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first()
}

func (j *Journal) first() uint64 {
	for _, s := range j.segments {
		if s.count > 0 {
			return s.first
		}
	}
	return 0
}

// Last is the offset of the newest entry that was ever appended, 0 if there was
// none; the next one gets a higher offset. It never goes back, also when retention
// has dropped that entry.
//
// Offsets are never used twice. Where it is unknown which were used (the machine
// started anew since, or the newest segment is damaged), the next entry's offset
// leaves a gap; so do entries that were lost to damage.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Read appends to buf the entries from offset from on, as far as they fit in
// maxBytes of data, but at least one if there is one, and returns buf. It may
// return fewer than there are: read on after the last one's offset. Where offsets
// have a gap it goes on behind it. Past the newest entry it returns buf as it was.
//
// It returns [ErrGone] if from is less than First (or was dropped, where nothing
// is kept), and an error that wraps [ErrDamaged], with the entries before it, if
// an entry is no longer what was appended. Data is the caller's own. Read holds
// back neither Append nor other readers.
func (j *Journal) Read(from uint64, maxBytes int, buf []Entry) ([]Entry, error) {
	var missing string // the segment whose file was not there
	for {
		j.mu.Lock()
		if errors.Is(j.err, ErrClosed) {
			j.mu.Unlock()
			return buf, ErrClosed
		}
		if from > j.last {
			j.mu.Unlock()
			return buf, nil
		}
		if first := j.first(); first == 0 || from < first {
			j.mu.Unlock()
			return buf, ErrGone
		}
		// The last segment that begins at or before from, or the next that has
		// an entry at or after it.
		i, found := slices.BinarySearchFunc(j.segments, from, func(s *segment, o uint64) int {
			return cmp.Compare(s.first, o)
		})
		if !found {
			i = max(i-1, 0)
		}
		for i < len(j.segments) && (j.segments[i].count == 0 || j.segments[i].last() < from) {
			i++
		}
		if i == len(j.segments) { // the newest offsets were lost to damage
			j.mu.Unlock()
			return buf, nil
		}
		r := j.segments[i].reader(from)
		j.mu.Unlock()

		out, err := r.read(from, maxBytes, buf)
		switch {
		case errors.Is(err, os.ErrClosed): // sealed since: look again
		case errors.Is(err, os.ErrNotExist) && missing != r.path: // dropped since
			missing = r.path
		case errors.Is(err, os.ErrNotExist):
			return buf, fmt.Errorf("%w: %w", ErrDamaged, err)
		default:
			return out, err
		}
	}
}

// Synced is the offset up to which everything that is kept would survive a power cut.
func (j *Journal) Synced() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced
}

// WaitSynced returns nil once everything up to offset would survive a power cut,
// or the error that prevents it. It asks for an fsync at once; whoever comes while
// that runs shares the next one.
func (j *Journal) WaitSynced(ctx context.Context, offset uint64) error {
	for {
		j.mu.Lock()
		synced, err, more := j.synced, j.err, j.syncedMore
		j.mu.Unlock()
		if synced >= offset {
			return nil
		}
		if err != nil {
			return err
		}
		poke(j.pokeUrgent)
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("journal: waiting for offset %d, synced to %d: %w", offset, synced, ctx.Err())
		}
	}
}

// Damage tells what Open found damaged, the oldest first. Each was logged too.
func (j *Journal) Damage() []Damage { return slices.Clone(j.damage) }

// Close syncs what was appended and waits for the journal's goroutine. It returns
// the error that ended the journal's service, if there was one. Calls after the
// first do nothing.
func (j *Journal) Close() error {
	j.writing.Lock() // an Append that is under way is let finish
	j.mu.Lock()
	err := j.err
	if errors.Is(err, ErrClosed) {
		j.mu.Unlock()
		j.writing.Unlock()
		return nil
	}
	j.err = ErrClosed
	j.mu.Unlock()
	j.writing.Unlock()

	close(j.stop)
	j.done.Wait()
	if err == nil {
		err = j.sync()
	}
	j.bury()
	j.mu.Lock()
	close(j.syncedMore) // for those who still wait: they find ErrClosed
	j.syncedMore = make(chan struct{})
	segments := j.segments
	j.mu.Unlock()
	closeAll(segments)
	return err
}

// fail records the first failure; it is final.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	first := j.err == nil
	if first {
		j.err = err
		close(j.syncedMore)
		j.syncedMore = make(chan struct{})
	}
	j.mu.Unlock()
	if first {
		j.log.Error("the journal takes nothing more", "dir", j.dir, "error", err)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
