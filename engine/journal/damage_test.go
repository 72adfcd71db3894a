package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// threeSegments makes a journal of three segments and returns its folder and
// entries. The last segment has several.
func threeSegments(t *testing.T) (dir string, model [][]byte) {
	dir = t.TempDir()
	j := open(t, Config{Dir: dir, MaxBytes: 2 << 10}) // segments of 256 bytes
	for i := 0; len(j.segments) < 3 || j.segments[2].count < 5; i++ {
		data := bytes.Repeat([]byte{byte(i)}, i%3*15)
		model = append(model, data)
		mustAppend(t, j, data)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, model
}

func names(t *testing.T, dir string) []segmentFile {
	t.Helper()
	files, err := segmentFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var quiet = slog.New(slog.DiscardHandler)

// abandon ends a journal as the end of its process does, without an fsync.
func abandon(j *Journal) {
	j.fail(errors.New("abandoned"))
	j.Close()
}

// Wherever the end of the process cut the last segment, the whole entries are there
// and nothing is called damaged.
func TestTornTail(t *testing.T) {
	dir, model := threeSegments(t)
	last := names(t, dir)[2]
	content, err := os.ReadFile(last.path)
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	for cut := range len(content) {
		at := copyDir(t, dir, filepath.Join(base, fmt.Sprint(cut)))
		if err := os.Truncate(filepath.Join(at, filepath.Base(last.path)), int64(cut)); err != nil {
			t.Fatal(err)
		}
		want := int(last.first) - 1
		for pos := headerSize; want < len(model); want++ {
			if pos += entryHeaderSize + len(model[want]); pos > cut {
				break
			}
		}
		j := open(t, Config{Dir: at, SyncEvery: time.Hour, Logger: quiet})
		if j.Last() != uint64(want) || len(j.Damage()) > 0 {
			t.Fatalf("cut at %d: last %d, want %d; %v", cut, j.Last(), want, j.Damage())
		}
		now := append(model[:want:want], []byte("new"))
		mustAppend(t, j, []byte("new"))
		equal(t, readAll(t, j, 1, 100), 1, now)
		abandon(j)
		j = open(t, Config{Dir: at, SyncEvery: time.Hour, Logger: quiet})
		equal(t, readAll(t, j, 1, 100), 1, now)
		abandon(j)
		os.RemoveAll(at)
	}
}

// Whichever byte is flipped, every entry is there as it was, or told to be lost, and
// no offset is used again.
func TestFlippedByte(t *testing.T) {
	dir, model := threeSegments(t)
	base := t.TempDir()
	for _, f := range names(t, dir) {
		for pos := range f.size {
			at := copyDir(t, dir, filepath.Join(base, "x"))
			path := filepath.Join(at, filepath.Base(f.path))
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			content[pos] ^= 1 << (pos % 8)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s, byte %d", filepath.Base(path), pos)
			j := open(t, Config{Dir: at, SyncEvery: time.Hour, Logger: quiet})
			if len(j.Damage()) != 1 {
				t.Fatalf("%s: %v", what, j.Damage())
			}
			d := j.Damage()[0]
			if aside, err := os.ReadFile(d.Aside); err != nil || !bytes.Equal(aside, content) {
				t.Fatalf("%s: aside: %v", what, err)
			}
			if !errors.Is(d.Err, ErrDamaged) {
				t.Fatalf("%s: %v", what, d.Err)
			}
			for range 2 {
				seen := map[uint64]bool{}
				for _, e := range readAll(t, j, j.First(), 100) {
					if e.Offset <= uint64(len(model)) && !bytes.Equal(e.Data, model[e.Offset-1]) {
						t.Fatalf("%s: entry %d is wrong", what, e.Offset)
					}
					seen[e.Offset] = true
				}
				for o := uint64(1); o <= uint64(len(model)); o++ {
					if lost := d.First <= o && o <= d.Last; lost == seen[o] {
						t.Fatalf("%s: entry %d: lost %v, read %v (%v)", what, o, lost, seen[o], d)
					}
				}
				if o := mustAppend(t, j, []byte("new")); o <= uint64(len(model)) || seen[o] {
					t.Fatalf("%s: offset %d is used again", what, o)
				}
				abandon(j)
				j = open(t, Config{Dir: at, SyncEvery: time.Hour, Logger: quiet})
			}
			abandon(j)
			os.RemoveAll(at)
		}
	}
}

func TestMissingSegment(t *testing.T) {
	dir, model := threeSegments(t)
	files := names(t, dir)
	os.Remove(files[1].path)
	j := open(t, Config{Dir: dir, Logger: quiet})
	if d := j.Damage(); len(d) != 1 || d[0].First != files[1].first || d[0].Last != files[2].first-1 {
		t.Fatal(d)
	}
	if got := readAll(t, j, files[1].first, 100); got[0].Offset != files[2].first {
		t.Fatalf("reading on at %d, want %d", got[0].Offset, files[2].first)
	}
	if got := readAll(t, j, 1, 100); len(got) != len(model)-int(files[2].first-files[1].first) {
		t.Fatal(len(got))
	}
	if err := j.WaitSynced(t.Context(), j.Last()); err != nil { // it closes its files then
		t.Fatal(err)
	}
	if err := os.Remove(files[0].path); err != nil { // under our hands
		t.Fatal(err)
	}
	if _, err := j.Read(1, 1, nil); !errors.Is(err, ErrDamaged) || !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// Bytes that change after Open are noticed by Read.
func TestDamageUnderway(t *testing.T) {
	j := open(t, Config{Dir: t.TempDir()})
	mustAppend(t, j, []byte("one"), []byte("two"))
	f, err := os.OpenFile(j.segments[0].path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{'x'}, j.segments[0].end-1); err != nil {
		t.Fatal(err)
	}
	got, err := j.Read(1, 100, nil)
	if !errors.Is(err, ErrDamaged) || len(got) != 1 || string(got[0].Data) != "one" {
		t.Fatal(got, err)
	}
	if err := f.Truncate(headerSize + 5); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Read(1, 100, nil); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// After another start of the machine, offsets that may have been given away are left
// out, since a power cut may have taken their entries.
func TestAnotherBoot(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	j := open(t, cfg)
	mustAppend(t, j, []byte("one"), []byte("two"))
	j.Close()
	path := names(t, cfg.Dir)[0].path
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(content, header{first: 1, boot: [16]byte{1}}.encode())
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the second time it is this start
		j = open(t, cfg)
		if j.First() != 1 || j.Last() != 2+leap || len(j.Damage()) > 0 {
			t.Fatal(j.First(), j.Last(), j.Damage())
		}
		if got, err := j.Read(3, 100, nil); err != nil || len(got) > 0 {
			t.Fatal(got, err)
		}
		j.Close()
	}
	j = open(t, cfg)
	if o := mustAppend(t, j, []byte("three")); o != 3+leap {
		t.Fatal(o)
	}
	if got := readAll(t, j, 2, 1); len(got) != 2 || got[1].Offset != 3+leap || string(got[1].Data) != "three" {
		t.Fatal(got)
	}
}

func FuzzScan(f *testing.F) {
	whole := header{first: 7, after: 6}.encode()
	whole = appendEntry(whole, 7, 1, []byte("seven"))
	whole = appendEntry(whole, 8, 2, nil)
	whole = appendEntry(whole, 9, 3, bytes.Repeat([]byte("9"), 300))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:headerSize+3])
	f.Add(whole[:headerSize-1])
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := scan(bytes.NewReader(content), int64(len(content)))
		if err != nil && !errors.Is(err, errTorn) && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		if s.end > int64(len(content)) || err == nil && s.end != int64(len(content)) {
			t.Fatalf("good up to %d of %d: %v", s.end, len(content), err)
		}
		if s.end == 0 {
			return
		}
		// What is good is what we would have written, and Read reads it.
		again := s.encode()
		if s.count > 0 {
			path := filepath.Join(t.TempDir(), "segment")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s.path = path
			got, err := s.reader(s.first).read(s.first, len(content), nil)
			if err != nil || uint64(len(got)) != s.count {
				t.Fatalf("%d entries, want %d: %v", len(got), s.count, err)
			}
			for _, e := range got {
				again = appendEntry(again, e.Offset, e.Time.UnixNano(), e.Data)
			}
		}
		if !bytes.Equal(again, content[:s.end]) {
			t.Fatalf("%x\n%x", again, content[:s.end])
		}
	})
}
