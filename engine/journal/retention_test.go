package journal

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetentionByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dir: dir, MaxAge: 80 * time.Second}
		j := open(t, cfg)
		start := time.Now()
		for range 300 { // 5 minutes
			mustAppend(t, j, []byte("x"))
			time.Sleep(time.Second)
			synctest.Wait()
			oldest := readAll(t, j, j.First(), 1)[0].Time
			if age := time.Since(oldest); age > 95*time.Second {
				t.Fatalf("an entry of %v is kept", age)
			} else if age < 79*time.Second && oldest != start {
				t.Fatalf("the oldest entry is %v old", age)
			}
		}
		time.Sleep(3 * time.Minute) // a quiet room
		synctest.Wait()
		if j.First() != 0 || j.Last() != 300 {
			t.Fatalf("first %d, last %d", j.First(), j.Last())
		}
		if _, err := j.Read(300, 1, nil); !errors.Is(err, ErrGone) {
			t.Fatal(err)
		}
		if got, err := j.Read(301, 1, nil); err != nil || len(got) > 0 {
			t.Fatal(got, err)
		}
		files, err := segmentFiles(dir)
		if err != nil || len(files) != 1 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		j.Close()
		j = open(t, cfg)
		if j.First() != 0 || j.Last() != 300 {
			t.Fatalf("reopened: first %d, last %d", j.First(), j.Last())
		}
		if last := mustAppend(t, j, nil); last != 301 {
			t.Fatal(last)
		}
		j.Close()
	})
}

// When segments come faster than the disk takes them, few of them are open.
func TestOpenFilesAreBounded(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir(), MaxBytes: 1, SyncEvery: time.Hour})
	j.done.Go(func() { j.retain() }) // as beside any Append
	for range 2000 {
		mustAppend(t, j, make([]byte, 1000))
		j.mu.Lock()
		open := len(j.dead) + len(j.segments)
		j.mu.Unlock()
		if open > 8*parts {
			t.Fatalf("%d files are open", open)
		}
	}
	if got := readAll(t, j, j.Last(), 1); len(got) != 1 {
		t.Fatal(len(got))
	}
}
