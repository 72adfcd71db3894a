package store

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// twoRooms makes a store with seats in two rooms, and returns its content.
func twoRooms(t *testing.T) (content []byte, before, after map[[32]byte]Seat) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	var seats []Seat
	for i := range uint64(60) {
		seats = append(seats, seat("a", i, i))
	}
	if err := s.Put(append(seats, seat("b", 1000, 1))...); err != nil {
		t.Fatal(err)
	}
	before = byToken(seats)
	seats[0].Taken = 99
	if err := s.Put(seats[0]); err != nil {
		t.Fatal(err)
	}
	s.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, before, byToken(seats)
}

// Whichever byte is flipped, seats are as they were put, or an error tells.
func TestFlippedByte(t *testing.T) {
	content, before, after := twoRooms(t)
	dir := t.TempDir()
	refused, told, harmless := 0, 0, 0
	for pos := 0; pos < len(content); pos++ {
		if in := pos % os.Getpagesize(); in > 256 && in%5 != 0 {
			continue // headers and elements wholly, of the rest every fifth
		}
		if rest := content[pos:min(pos+64, len(content))]; pos%64 != 0 && bytes.Count(rest, []byte{0}) == len(rest) {
			continue // nothing is here
		}
		path := filepath.Join(dir, "store.db")
		damaged := bytes.Clone(content)
		damaged[pos] ^= 1 << (pos % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		s, err := Open(path, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Fatalf("byte %d: %v", pos, err)
			}
			refused++
			continue
		}
		got, err := s.Seats("a")
		m := byToken(got)
		switch {
		case err == nil && logged.Len() > 0: // the room is another, or the root the one before
			if len(m) > 0 && !maps.Equal(m, before) && !maps.Equal(m, after) {
				t.Fatalf("byte %d: seats are wrong", pos)
			}
			told++
		case err == nil:
			if !maps.Equal(m, after) {
				t.Fatalf("byte %d: silently other seats: %d of %d", pos, len(m), len(after))
			}
			harmless++
		case errors.Is(err, ErrDamaged):
			for token, seat := range m {
				if seat != after[token] {
					t.Fatalf("byte %d: a seat is wrong", pos)
				}
			}
			told++
		default:
			t.Fatalf("byte %d: %v", pos, err)
		}
		s.Close()
	}
	t.Logf("%d refused by Open, %d told, %d harmless", refused, told, harmless)
}

func TestTruncated(t *testing.T) {
	content, _, _ := twoRooms(t)
	for _, size := range []int{1, 100, 4096, 8192, 12288, 16384, 16385, 20480} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, content[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, quiet); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", size, len(content), err)
		}
		if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, content[:size]) {
			t.Errorf("%d bytes: the file was changed", size)
		}
	}
}
