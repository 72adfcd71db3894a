package journal

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// run is the journal's goroutine: it syncs in groups, and drops what is too old.
func (j *Journal) run() {
	var due <-chan time.Time
	aging := time.NewTimer(j.retentionInterval())
	defer aging.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-j.pokeDirty:
			if due == nil {
				due = time.After(j.syncEvery)
			}
		case <-due:
			due = nil
			j.sync() // an error is recorded and logged
		case <-j.pokeUrgent:
			due = nil
			j.sync()
		case <-j.pokeDead:
			j.bury()
		case <-aging.C:
			j.retain()
			aging.Reset(j.retentionInterval())
		}
	}
}

func (j *Journal) retentionInterval() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.retention.interval()
}

// sync brings everything that was appended before the call to the disk, in order.
// Only the journal's goroutine calls it, and Close when that has ended.
func (j *Journal) sync() error {
	j.mu.Lock()
	if !j.dirty || (j.err != nil && j.err != ErrClosed) {
		j.mu.Unlock()
		return nil
	}
	last, folder, sealed := j.last, j.newFile, len(j.segments)-1
	var open []*segment
	var files []*os.File // theirs: an append may bury a segment meanwhile
	for _, s := range j.segments {
		if s.file != nil {
			open, files = append(open, s), append(files, s.file)
		}
	}
	j.newFile, j.dirty = false, false
	active := j.segments[sealed]
	j.mu.Unlock()

	var err error
	for i, s := range open {
		if err = files[i].Sync(); err != nil && !j.dropped(s) {
			break
		}
		err = nil
		if s != active {
			j.seal(s)
		}
	}
	if err == nil && folder {
		err = syncFolder(j.dir)
	}
	if err != nil {
		err = fmt.Errorf("journal: fsync in %s: %w", j.dir, err)
		j.fail(err)
		return err
	}
	j.mu.Lock()
	j.synced = max(j.synced, last)
	close(j.syncedMore)
	j.syncedMore = make(chan struct{})
	j.mu.Unlock()
	return nil
}

// dropped says whether retention has taken s off the list: its file may be closed.
func (j *Journal) dropped(s *segment) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return s.dropped
}

// seal closes the file of a segment that is on the disk. Readers open their own.
func (j *Journal) seal(s *segment) {
	j.mu.Lock()
	f := s.file
	s.file = nil
	j.mu.Unlock()
	if f != nil {
		f.Close()
	}
}

func closeAll(segments []*segment) {
	for _, s := range segments {
		if s.file != nil {
			s.file.Close()
		}
	}
}

// syncFolder makes the names of new files last. Windows cannot and need not.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
