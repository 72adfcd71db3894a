// Package journal is a stand-in until branch wt-journal is merged: in memory,
// by folder.
package journal

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ErrGone says that an entry is no longer kept.
var ErrGone = errors.New("journal: gone")

// Config is what Open takes.
type Config struct {
	Dir       string
	MaxAge    time.Duration
	MaxBytes  int64
	SyncEvery time.Duration
	Logger    *slog.Logger
}

// Entry is one of the journal.
type Entry struct {
	Offset uint64
	Data   []byte
}

// Journal is a journal.
type Journal struct {
	mu      sync.Mutex
	cfg     Config
	first   uint64
	entries [][]byte
	bytes   int64
}

var all sync.Map

// Open opens.
func Open(cfg Config) (*Journal, error) {
	j, _ := all.LoadOrStore(cfg.Dir, &Journal{first: 1})
	jj := j.(*Journal)
	jj.cfg = cfg
	return jj, nil
}

// Append appends.
func (j *Journal) Append(entries ...[]byte) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range entries {
		j.entries = append(j.entries, slices.Clone(e))
		j.bytes += int64(len(e))
	}
	for j.cfg.MaxBytes > 0 && j.bytes > j.cfg.MaxBytes && len(j.entries) > 1 {
		j.bytes -= int64(len(j.entries[0]))
		j.entries = j.entries[1:]
		j.first++
	}
	return j.first + uint64(len(j.entries)) - 1, nil
}

// First is the first offset that is kept.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first
}

// Last is the last offset, 0 for none.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + uint64(len(j.entries)) - 1
}

// Read reads.
func (j *Journal) Read(from uint64, maxBytes int, buf []Entry) ([]Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if from < j.first {
		return buf, ErrGone
	}
	n := 0
	for i := from - j.first; i < uint64(len(j.entries)) && (n == 0 || n < maxBytes); i++ {
		buf = append(buf, Entry{j.first + i, j.entries[i]})
		n += len(j.entries[i])
	}
	return buf, nil
}

// WaitSynced waits.
func (j *Journal) WaitSynced(context.Context, uint64) error { return nil }

// Close closes.
func (j *Journal) Close() error { return nil }
