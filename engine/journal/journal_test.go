package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func open(t testing.TB, cfg Config) *Journal {
	t.Helper()
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func mustAppend(t fataler, j *Journal, entries ...[]byte) uint64 {
	t.Helper()
	last, err := j.Append(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// readAll reads from offset from to the end, as a seat does.
func readAll(t fataler, j *Journal, from uint64, maxBytes int) (all []Entry) {
	t.Helper()
	for {
		n := len(all)
		var err error
		if all, err = j.Read(from, maxBytes, all); err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		if len(all) == n {
			return all
		}
		from = all[len(all)-1].Offset + 1
	}
}

// equal compares entries with model, where model[i] has offset i+1.
func equal(t fataler, got []Entry, from uint64, model [][]byte) {
	t.Helper()
	if len(got) != len(model)-int(from)+1 {
		t.Fatalf("%d entries from %d on, want %d", len(got), from, len(model)-int(from)+1)
	}
	for i, e := range got {
		if want := from + uint64(i); e.Offset != want || !bytes.Equal(e.Data, model[want-1]) {
			t.Fatalf("entry %d: offset %d and %d bytes, want %d and %d", i, e.Offset, len(e.Data), want, len(model[want-1]))
		}
	}
}

// copyDir leaves in a new folder what a killed process would leave in dir.
func copyDir(t fataler, dir, to string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestAnyHistory compares the journal with a slice, over random histories.
func TestAnyHistory(t *testing.T) {
	base, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		cfg := Config{Dir: filepath.Join(base, fmt.Sprint(n)), MaxBytes: 16 << 10}
		j, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { j.Close() }()
		var model [][]byte
		check := func(j *Journal) {
			if j.Last() != uint64(len(model)) {
				t.Fatalf("last %d, want %d", j.Last(), len(model))
			}
			if first := j.First(); first > 0 {
				equal(t, readAll(t, j, first, 1000), first, model)
			}
			if len(j.Damage()) > 0 {
				t.Fatal(j.Damage())
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				batch := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 600), 0, 6).Draw(t, "batch")
				model = append(model, batch...)
				if last := mustAppend(t, j, batch...); last != uint64(len(model)) {
					t.Fatalf("last %d, want %d", last, len(model))
				}
			},
			"read": func(t *rapid.T) {
				from := rapid.Uint64Range(0, uint64(len(model))+2).Draw(t, "from")
				maxBytes := rapid.IntRange(-1, 3000).Draw(t, "max")
				got, err := j.Read(from, maxBytes, nil)
				first := j.First()
				switch {
				case from > uint64(len(model)):
					if err != nil || len(got) > 0 {
						t.Fatal(got, err)
					}
				case first == 0 || from < first:
					if !errors.Is(err, ErrGone) {
						t.Fatalf("from %d, first %d: %v", from, first, err)
					}
				case err != nil || len(got) == 0:
					t.Fatalf("from %d: %d entries, %v", from, len(got), err)
				default:
					equal(t, got, from, model[:int(from)-1+len(got)])
					total := 0
					for _, e := range got {
						total += len(e.Data)
					}
					if total > maxBytes && len(got) > 1 {
						t.Fatalf("%d bytes, at most %d were wanted", total, maxBytes)
					}
				}
			},
			"retention": func(t *rapid.T) {
				cfg.MaxBytes = rapid.Int64Range(1, 32<<10).Draw(t, "bytes")
				before := j.First()
				j.SetRetention(0, cfg.MaxBytes)
				if after := j.First(); after < before && after != 0 {
					t.Fatalf("first went back from %d to %d", before, after)
				}
			},
			"reopen": func(t *rapid.T) {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if j, err = Open(cfg); err != nil {
					t.Fatal(err)
				}
			},
			"killed": func(t *rapid.T) {
				n++
				// The copy must not meet a removal half way.
				for {
					files, err := segmentFiles(j.dir)
					if err == nil && len(files) == len(j.segments) {
						break
					}
					time.Sleep(time.Millisecond)
				}
				cfg := cfg
				cfg.Dir = copyDir(t, j.dir, filepath.Join(base, fmt.Sprint(n)))
				k, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer k.Close()
				check(k)
			},
			"": func(t *rapid.T) {
				check(j)
				if got, most := j.bytes, cfg.MaxBytes+32<<10/parts+6*(600+entryHeaderSize)+2*headerSize; got > most {
					t.Fatalf("%d bytes are kept, at most %d", got, most)
				}
			},
		})
	})
}

// A reader follows the writer through rotation and retention; the slow one is told
// that it has lost its place.
func TestReadBesideAppend(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir(), MaxBytes: 256 << 10, SyncEvery: time.Millisecond})
	const total = 20000
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			from, gone := uint64(1), 0
			for from <= total {
				got, err := j.Read(from, 4000, nil)
				if errors.Is(err, ErrGone) {
					gone++
					if from = j.First(); from == 0 {
						t.Error("nothing is kept")
						return
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range got {
					if e.Offset != from || string(e.Data) != fmt.Sprintf("%0100d", from) {
						t.Errorf("offset %d, want %d: %q", e.Offset, from, e.Data)
						return
					}
					from++
				}
				runtime.Gosched()
			}
		})
	}
	for i := range total {
		mustAppend(t, j, fmt.Appendf(nil, "%0100d", i+1))
	}
	wg.Wait()
}

// Reading a little of a large segment costs little memory.
func TestReadIsBounded(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir(), MaxBytes: 256 << 20})
	batch := make([][]byte, 100)
	for i := range batch {
		batch[i] = make([]byte, 1000)
	}
	for range 100 {
		mustAppend(t, j, batch...)
	}
	mustAppend(t, j, make([]byte, MaxEntry))
	if _, err := j.Append([]byte("fits"), make([]byte, MaxEntry+1)); !errors.Is(err, ErrTooLarge) || j.Last() != 10001 {
		t.Fatal(j.Last(), err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for from := uint64(1); from <= 10000; from += 100 {
		if got, err := j.Read(from, 1, nil); err != nil || len(got) != 1 || got[0].Offset != from {
			t.Fatal(got, err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 2*indexEvery {
		t.Fatalf("%d bytes were allocated for each read", each)
	}
	if got, err := j.Read(10001, 1, nil); err != nil || len(got) != 1 || len(got[0].Data) != MaxEntry {
		t.Fatal(len(got), err)
	}
}

// BenchmarkAppend is of 200 bytes each, with what rotation, retention and fsync cost
// beside it; the median is what one message waits.
func BenchmarkAppend(b *testing.B) {
	j := open(b, Config{Dir: b.TempDir()})
	data := make([]byte, 200)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		mustAppend(b, j, data)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "ns/median")
	b.ReportMetric(float64(took[len(took)*99/100]), "ns/p99")
}

func BenchmarkRead(b *testing.B) {
	j := open(b, Config{Dir: b.TempDir()})
	for range 10000 {
		mustAppend(b, j, make([]byte, 200))
	}
	var buf []Entry
	for b.Loop() {
		var err error
		if buf, err = j.Read(5000, 64<<10, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
