package journal

import (
	"errors"
	"fmt"
	"testing"
)

const helperDir = "GENOSRTC_JOURNAL_HELPER"

func helper(string) {}

func open(t testing.TB, cfg Config) *Journal {
	t.Helper()
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestAppendReadReopen(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	j := open(t, cfg)
	if j.First() != 0 || j.Last() != 0 {
		t.Fatal("not empty")
	}
	for i := range 1000 {
		last, err := j.Append(fmt.Appendf(nil, "a%d", i), fmt.Appendf(nil, "b%d", i))
		if err != nil || last != uint64(2*i+2) {
			t.Fatal(last, err)
		}
	}
	for range 2 {
		var got []Entry
		for from := uint64(1); from <= j.Last(); from = got[len(got)-1].Offset + 1 {
			var err error
			if got, err = j.Read(from, 100, got); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 2000 || string(got[1999].Data) != "b999" {
			t.Fatal(len(got))
		}
		if _, err := j.Read(0, 1, nil); !errors.Is(err, ErrGone) {
			t.Fatal(err)
		}
		if err := j.WaitSynced(t.Context(), 2000); err != nil {
			t.Fatal(err)
		}
		j.Close()
		j = open(t, cfg)
	}
}

func BenchmarkAppend(b *testing.B) {
	j := open(b, Config{Dir: b.TempDir()})
	data := make([]byte, 200)
	for b.Loop() {
		if _, err := j.Append(data); err != nil {
			b.Fatal(err)
		}
	}
}
