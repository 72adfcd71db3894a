package store

import (
	"path/filepath"
	"testing"
	"time"
)

func TestPutSeatsDelete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	seat := Seat{Token: [32]byte{1}, Room: "r", ID: "0x", Identity: 2, Taken: 7, Expires: time.Now().Truncate(0), User: "u"}
	if err := s.Put(seat, Seat{Token: [32]byte{2}, Room: "r"}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err = Open(path, nil); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Seats("r")
	// The one without Expires is long over.
	if err != nil || len(got) != 1 || !got[0].Expires.Equal(seat.Expires) {
		t.Fatal(got, err)
	}
	if err := s.Delete("r", seat.Token); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Seats("r"); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}
