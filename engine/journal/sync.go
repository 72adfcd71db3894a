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
	last, folder := j.last, j.newFile
	sealed, active := j.unsynced, j.segments[len(j.segments)-1]
	file := active.file
	j.unsynced, j.newFile, j.dirty = nil, false, false
	j.mu.Unlock()

	var err error
	for _, f := range sealed {
		if err == nil {
			err = f.Sync()
		}
		f.Close()
	}
	if err == nil {
		// Should it be sealed meanwhile: nobody but this goroutine closes it.
		err = file.Sync()
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
