package journal

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSyncGroups(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, Config{Dir: dir})
		time.Sleep(time.Second) // that of Open
		for range 10 {
			mustAppend(t, j, []byte("x"))
			time.Sleep(9 * time.Millisecond)
		}
		if j.Synced() != 0 {
			t.Fatalf("synced %d before its time", j.Synced())
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if j.Synced() != 10 {
			t.Fatalf("synced %d, want 10", j.Synced())
		}
		mustAppend(t, j, []byte("x"))
		asked := time.Now()
		if err := j.WaitSynced(t.Context(), 11); err != nil || j.Synced() != 11 {
			t.Fatal(j.Synced(), err)
		}
		if waited := time.Since(asked); waited > 0 {
			t.Fatalf("waited %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := j.WaitSynced(ctx, 12); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := j.WaitSynced(t.Context(), 13); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, err := j.Append(nil); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if _, err := j.Read(1, 1, nil); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// After a failed fsync nobody is told that anything is safe.
func TestFailedSync(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir(), SyncEvery: time.Hour, Logger: quiet})
	mustAppend(t, j, []byte("a"))
	if err := j.WaitSynced(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, []byte("b"))
	j.segments[0].file.Close() // fsync fails on it
	if err := j.WaitSynced(t.Context(), 2); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := j.Append([]byte("c")); !errors.Is(err, os.ErrClosed) || j.Last() != 2 || j.Synced() != 1 {
		t.Fatal(j.Last(), j.Synced(), err)
	}
	if err := j.Close(); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}
