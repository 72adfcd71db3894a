package store

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// smallGraph makes a graph of several pages, and returns the file's content with the
// entries of before and after the last commit.
func smallGraph(t *testing.T) (content []byte, before, after map[string]graph.Entry) {
	path := filepath.Join(t.TempDir(), "graph.db")
	g := openGraph(t, path)
	for i := range 20 {
		e := node(nodeID(i), 150, int64(i))
		if i%5 == 0 {
			e = graph.Entry{ID: e.ID, Removed: true, Timestamp: e.Timestamp}
		}
		if i%3 == 0 && !e.Removed {
			e.Edges = []string{nodeID(i + 1), "b"}
		}
		if err := g.Set(e); err != nil {
			t.Fatal(err)
		}
	}
	set(t, g)
	before = scan(t, g)
	set(t, g, node(nodeID(0), 120, 99))
	after = scan(t, g)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, before, after
}

// Whichever byte is flipped, the graph is as it was written, or an error tells.
func TestFlippedByteOfAGraph(t *testing.T) {
	content, before, after := smallGraph(t)
	path := filepath.Join(t.TempDir(), "graph.db")
	refused, told, harmless := 0, 0, 0
	for pos := 0; pos < len(content); pos++ {
		if in := pos % graphPage; in > 256 && in%13 != 0 {
			continue // headers and elements wholly, of the rest every thirteenth
		}
		if rest := content[pos:min(pos+64, len(content))]; pos%64 != 0 && bytes.Count(rest, []byte{0}) == len(rest) {
			continue // nothing is here
		}
		damaged := bytes.Clone(content)
		damaged[pos] ^= 1 << (pos % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		g, err := OpenGraph(path, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Fatalf("byte %d: %v", pos, err)
			}
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, damaged) {
				t.Fatalf("byte %d: the file was changed", pos)
			}
			refused++
			continue
		}
		got := scan(t, g)
		switch {
		case maps.EqualFunc(got, after, equal):
			harmless++
		case logged.Len() > 0 && maps.EqualFunc(got, before, equal): // the root is the one before
			told++
		default:
			t.Fatalf("byte %d: silently another graph: %d entries of %d", pos, len(got), len(after))
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d refused, %d told, %d harmless", refused, told, harmless)
}

func TestTruncatedGraph(t *testing.T) {
	content, _, _ := smallGraph(t)
	for size := 1; size < len(content)/2; size += 1777 {
		path := filepath.Join(t.TempDir(), "graph.db")
		if err := os.WriteFile(path, content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenGraph(path, quiet); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", size, len(content), err)
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, content[:size]) {
			t.Errorf("%d bytes: the file was changed", size)
		}
	}
}

// FuzzDecodeEntry has records decoded that have a good sum: what is read is what is
// written again.
func FuzzDecodeEntry(f *testing.F) {
	f.Add("a", []byte{})
	for _, e := range []graph.Entry{
		{ID: "a", Removed: true}, node("b", 50, -1),
		{ID: "c", Value: []byte("1"), Edges: []string{"a", "b"}, Extra: []byte("{}"), Live: true, Seq: 1 << 60},
	} {
		f.Add(e.ID, encodeEntry(e)[4:])
	}
	f.Fuzz(func(t *testing.T, id string, rest []byte) {
		record := append(make([]byte, 4), rest...)
		if _, err := decodeEntry(id, record); err == nil && recordSum([]byte(id), record) != 0 {
			t.Fatal("a wrong sum was not seen")
		}
		if len(record) >= recordHead {
			sum := recordSum([]byte(id), record)
			record[0], record[1], record[2], record[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		}
		e, err := decodeEntry(id, record)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeEntry(id, encodeEntry(e))
		if err != nil || !equal(e, again) {
			t.Fatalf("%v, then %v: %v", e, again, err)
		}
	})
}
