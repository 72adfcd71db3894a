// Package store is a stand-in until branch wt-journal is merged.
package store

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Seat is what is kept of a seat.
type Seat struct {
	Token    [32]byte
	Room     string
	ID       string
	Identity uint8
	Joined   uint64
	Taken    uint64
	Resume   time.Duration
}

// Store is a store.
type Store struct {
	mu    sync.Mutex
	seats map[string]Seat
}

var all sync.Map

// Open opens.
func Open(path string) (*Store, error) {
	s, _ := all.LoadOrStore(path, &Store{seats: map[string]Seat{}})
	return s.(*Store), nil
}

// Seats returns a room's.
func (s *Store) Seats(room string) ([]Seat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(s.seats)), func(x Seat) bool { return x.Room != room }), nil
}

// Put puts.
func (s *Store) Put(seats ...Seat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range seats {
		s.seats[x.Room+"/"+x.ID] = x
	}
	return nil
}

// Delete deletes.
func (s *Store) Delete(room string, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.seats, room+"/"+id)
	}
	return nil
}

// Close closes.
func (s *Store) Close() error { return nil }
