package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// Whatever a stranger calls a file, it is created in the folder, under a name
// that shows.
func TestAnyFileName(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		name := fileName(rapid.OneOf(rapid.String(), rapid.StringMatching(`[./\\a\x00\x1b ]{0,300}`)).Draw(t, "name"))
		path, err := storeWhole(dir, name, []byte("x"))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		defer os.Remove(path)
		base := filepath.Base(path)
		if filepath.Dir(path) != dir || strings.HasPrefix(base, ".") || base != printable(base) {
			t.Fatalf("%q", path)
		}
	})
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\boot.ini`: "boot.ini", "..": "", ".profile": "profile",
		"a\x1b[2J": "a_[2J", "": "", "dir/": "", strings.Repeat("a", 300) + ".txt": strings.Repeat("a", 196) + ".txt",
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
}

// TestParts covers which transfers go on with a part, and what becomes of it.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	offer := func(from, name string, size int64, modified any) client.Incoming {
		return client.Incoming{From: from, ID: 1, Size: size, Meta: map[string]any{"name": name, "modified": modified}}
	}
	first := offer("a", "x", 10, int64(7))
	open := func(in client.Incoming, want int64) *part {
		t.Helper()
		p, have, err := openPart(dir, in)
		if err != nil || have != want {
			t.Fatalf("%+v: %d bytes are there, not %d; %v", in, have, want, err)
		}
		return p
	}
	end := func(p *part, why error, kept bool) {
		t.Helper()
		if _, err := p.end(why); !errors.Is(err, why) && !kept || err == nil {
			t.Error(err)
		}
		if _, err := os.Stat(p.File.Name()); (err == nil) != kept || (p.kept() != "") != kept && p.again {
			t.Errorf("%v: %v, %q", why, err, p.kept())
		}
	}
	p := open(first, 0)
	if _, err := p.WriteAt([]byte("01234"), 0); err != nil {
		t.Fatal(err)
	}
	end(p, &client.CancelledError{Reason: "gone"}, true)
	for _, other := range []client.Incoming{offer("a", "y", 10, int64(7)), offer("a", "x", 11, int64(7)), offer("a", "x", 10, int64(8)), offer("a", "x", 10, nil)} {
		end(open(other, 0), client.ErrCorrupt, false)
	}
	end(open(offer("a", "x", 10, nil), 0), client.ErrClosed, true)
	end(open(offer("a", "x", 10, nil), 0), &client.CancelledError{Reason: "gone"}, false)
	p = open(offer("b", "x", 10, int64(7)), 5) // another session of who sends the same file
	if path, err := p.end(nil); err != nil || filepath.Base(path) != "x" {
		t.Error(path, err)
	}
}

func TestSlotIsASecret(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	at := &place{server: "http://a", room: "r"}
	s, err := newSlot("send", at, "x")
	if err != nil {
		t.Fatal(err)
	}
	other, err := newSlot("send", at, "y")
	if err != nil || other == s || s.load() != nil {
		t.Fatal(s, other, err)
	}
	for _, acked := range []int64{1, 2} {
		if err := s.save(saved{Session: client.State{Resume: "secret"}, Acked: acked}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(string(s))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	dir, err := os.ReadDir(filepath.Dir(string(s)))
	if v := s.load(); v == nil || v.Acked != 2 || v.Session.Resume != "secret" || len(dir) != 1 || err != nil {
		t.Error(v, dir, err)
	}
	if err := os.WriteFile(string(s), []byte("{"), 0o600); err != nil || s.load() != nil {
		t.Error("half a state was taken", err)
	}
	if err := errors.Join(s.clear(), s.clear()); err != nil || s.load() != nil {
		t.Error(err)
	}
}
