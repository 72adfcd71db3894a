package journal

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// parts is how many segments a full journal has: what retention drops at a time is
// such a part of its bytes, or of its age.
const parts = 8

type retention struct {
	maxAge   time.Duration
	maxBytes int64
}

func newRetention(maxAge time.Duration, maxBytes int64) retention {
	if maxAge <= 0 {
		maxAge = DefaultMaxAge
	}
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	return retention{maxAge, maxBytes}
}

// segmentBytes is how large a segment grows, but for a single batch that is larger.
func (r retention) segmentBytes() int64 { return min(max(r.maxBytes/parts, 256), 16<<20) }

// interval is how often an idle journal looks for what has become too old.
func (r retention) interval() time.Duration {
	return min(max(r.maxAge/parts, time.Second), time.Minute)
}

// SetRetention changes how much is kept: entries younger than maxAge, as far as
// they fit in maxBytes on disk. Whole segments are dropped, an eighth of either
// measure each, but never the one that is written to. So an entry is gone at latest
// a quarter of maxAge and a second after its age is reached, also in a quiet room,
// and the files take more than maxBytes only by one batch. Zero means [DefaultMaxAge] and [DefaultMaxBytes].
func (j *Journal) SetRetention(maxAge time.Duration, maxBytes int64) {
	j.mu.Lock()
	j.retention = newRetention(maxAge, maxBytes)
	j.mu.Unlock()
	j.retain()
}

// trim takes the segments that are too old or too many off the list; bury removes
// their files. The caller holds mu.
func (j *Journal) trim(now time.Time) {
	oldest := now.Add(-j.retention.maxAge).UnixNano()
	n := 0
	for n < len(j.segments)-1 && (j.bytes > j.retention.maxBytes || j.segments[n].newest < oldest) {
		j.bytes -= j.segments[n].end
		j.segments[n].dropped = true
		j.dead = append(j.dead, j.segments[n])
		n++
	}
	if n > 0 {
		clear(j.segments[:n])
		j.segments = j.segments[n:]
		poke(j.pokeDead)
	}
}

// retain drops what is to be dropped, the active segment's entries too once all of
// them are too old.
func (j *Journal) retain() {
	now := time.Now()
	j.writing.Lock()
	j.mu.Lock()
	active := j.segments[len(j.segments)-1]
	next, aged := j.last+1, j.err == nil && active.count > 0 && active.newest < now.Add(-j.retention.maxAge).UnixNano()
	j.mu.Unlock()
	if aged {
		j.rotate(next) // an error is recorded and logged
	}
	j.writing.Unlock()

	j.mu.Lock()
	if j.err == nil {
		j.trim(now)
	}
	wasDirty := j.dirty
	j.dirty = wasDirty || j.newFile
	dirtied := j.dirty && !wasDirty
	j.mu.Unlock()
	if dirtied {
		poke(j.pokeDirty)
	}
}

// bury closes and removes the files of dropped segments, the oldest first.
func (j *Journal) bury() {
	j.mu.Lock()
	dead := j.dead
	j.dead = nil
	j.mu.Unlock()
	for _, s := range dead {
		j.seal(s)
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			j.log.Error("an old journal segment cannot be removed", "segment", s.path, "error", err)
		}
	}
}
