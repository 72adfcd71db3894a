package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func token(n uint64) (t [32]byte) {
	r := rand.New(rand.NewPCG(n, 0))
	for i := range 4 {
		binary.LittleEndian.PutUint64(t[8*i:], r.Uint64())
	}
	return t
}

// seat is number n of a room, in a state of its own.
func seat(room string, n, taken uint64) Seat {
	return Seat{Token: token(n), Room: room, ID: fmt.Sprintf("0%019d", n), Identity: uint8(n % 3), Taken: taken,
		Expires: time.Unix(4e9+int64(n), 5), User: fmt.Sprintf("user %d", n%7)}
}

func byToken(seats []Seat) map[[32]byte]Seat {
	m := map[[32]byte]Seat{}
	for _, s := range seats {
		s.Expires = s.Expires.Round(0).In(time.UTC)
		m[s.Token] = s
	}
	return m
}

// TestAnyHistory compares the store with a map, over random histories.
func TestAnyHistory(t *testing.T) {
	base, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(base, fmt.Sprint(n), "store.db")
		s, err := Open(path, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		s.db.NoSync = true // what fsync adds is not seen here
		rooms := []string{"a", "b", "a/b", "ä\x00"}
		model := map[string]map[[32]byte]Seat{}
		for _, room := range rooms {
			model[room] = map[[32]byte]Seat{}
		}
		check := func(t *rapid.T, s *Store) {
			for _, room := range rooms {
				got, err := s.Seats(room)
				if err != nil || !maps.Equal(byToken(got), byToken(slices.Collect(maps.Values(model[room])))) {
					t.Fatalf("room %q: %v, want %v (%v)", room, got, model[room], err)
				}
			}
			s.db.View(func(tx *bbolt.Tx) error {
				return tx.Bucket(seatsBucket).ForEachBucket(func(room []byte) error {
					if len(model[string(room)]) == 0 {
						t.Fatalf("the empty room %q is kept", room)
					}
					return nil
				})
			})
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				var seats []Seat
				for range rapid.IntRange(0, 5).Draw(t, "seats") {
					seats = append(seats, seat(rapid.SampledFrom(rooms).Draw(t, "room"), rapid.Uint64Range(1, 20).Draw(t, "n"), rapid.Uint64().Draw(t, "taken")))
				}
				if err := s.Put(seats...); err != nil {
					t.Fatal(err)
				}
				for _, seat := range seats {
					model[seat.Room][seat.Token] = seat
				}
			},
			"delete": func(t *rapid.T) {
				room := rapid.SampledFrom(rooms).Draw(t, "room")
				var tokens [][32]byte
				for _, n := range rapid.SliceOfN(rapid.Uint64Range(1, 20), 0, 15).Draw(t, "tokens") {
					tokens = append(tokens, token(n))
					delete(model[room], token(n))
				}
				if err := s.Delete(room, tokens...); err != nil {
					t.Fatal(err)
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(path, quiet); err != nil {
					t.Fatal(err)
				}
				s.db.NoSync = true
			},
			"": func(t *rapid.T) { check(t, s) },
		})
	})
}

func TestConcurrentPuts(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	before := s.db.Stats()
	var wg sync.WaitGroup
	const n = 400
	for i := range uint64(n) {
		wg.Go(func() {
			if err := s.Put(seat("r", i, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := s.Seats("r"); err != nil || len(got) != n {
		t.Fatal(len(got), err)
	}
	after := s.db.Stats()
	// Alone, each would write four pages at least.
	if pages := after.TxStats.GetWrite() - before.TxStats.GetWrite(); pages > n {
		t.Errorf("%d pages were written for %d puts", pages, n)
	}
}

func TestExpiredAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	old, recent, other := seat("r", 1, 0), seat("r", 2, 0), seat("past", 3, 0)
	old.Expires = time.Now().Add(-keepExpired - time.Minute)
	recent.Expires = time.Now().Add(-keepExpired + time.Minute)
	other.Expires = old.Expires
	if err := s.Put(old, recent, other); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, path)
	if got, err := s.Seats("r"); err != nil || len(got) != 1 || got[0].Token != recent.Token {
		t.Fatal(got, err)
	}
	if got, err := s.Seats("past"); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}

func TestRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	if err := s.Put(seat("r", 1, 1), seat("", 2, 1)); err == nil {
		t.Fatal("a seat without a room was taken")
	}
	if got, err := s.Seats("r"); err != nil || len(got) > 0 {
		t.Fatalf("half of a refused put is kept: %v %v", got, err)
	}
	if err := s.Delete("", token(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(seat("r", 1, 1)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := s.Seats("r"); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	synctest.Test(t, func(t *testing.T) { // it waits for the other process for a while
		s := open(t, path)
		if _, err := Open(path, quiet); !errors.Is(err, ErrInUse) {
			t.Fatal(err)
		}
		s.Close()
		open(t, path).Close()
	})
}

func TestLaterVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(versionKey, []byte{0, 0, 0, 2})
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(path, quiet); !errors.Is(err, ErrVersion) || errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// After a failed commit nothing more is taken.
func TestFailedCommit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	if err := s.Put(seat("r", 1, 1)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := s.commit(func(*bbolt.Tx) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.Put(seat("r", 2, 1)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if got, err := s.Seats("r"); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
}

func FuzzDecodeSeat(f *testing.F) {
	s := seat("r", 3, 4)
	value, err := encodeSeat(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Token[:], value)
	f.Add(s.Token[:], value[:len(value)-1])
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(value) >= 5 { // let it through to the decoder
			value = slices.Clone(value)
			value[0] = seatVersion
			binary.LittleEndian.PutUint32(value[1:], seatSum("r", key, value[5:]))
		}
		s, err := decodeSeat("r", key, value)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := encodeSeat(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeSeat("r", key, again); err != nil || !maps.Equal(byToken([]Seat{got}), byToken([]Seat{s})) {
			t.Fatal(got, s, err)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "store.db"))
	for n := range uint64(100) {
		var seats []Seat
		for i := range uint64(100) {
			seats = append(seats, seat("r", 100*n+i, 0))
		}
		if err := s.Put(seats...); err != nil {
			b.Fatal(err)
		}
	}
	for _, callers := range []int{1, 100} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Put(seat("r", rand.Uint64N(10000), 1)); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func TestOpenTenThousand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	for room := range uint64(100) {
		var seats []Seat
		for i := range uint64(100) {
			seats = append(seats, seat(fmt.Sprint("room ", room), 100*room+i, i))
		}
		if err := s.Put(seats...); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	start := time.Now()
	s = open(t, path)
	opened := time.Since(start)
	n := 0
	for room := range 100 {
		got, err := s.Seats(fmt.Sprint("room ", room))
		if err != nil {
			t.Fatal(err)
		}
		n += len(got)
	}
	took := time.Since(start)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d seats in %d KiB: opened in %v, read in %v", n, info.Size()>>10, opened, took-opened)
	if n != 10000 {
		t.Errorf("%d seats", n)
	}
}
