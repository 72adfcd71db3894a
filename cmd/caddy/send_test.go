package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSendGoesOn sends a file while the sender, the recipient and the server are
// interrupted, one after the other, and the server without a warning.
func TestSendGoesOn(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	server := m.server()
	file := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{1}).Read(file)
	m.write("big.iso", file)

	recv := func() *process {
		p := m.start(nil, "genosrtc", "recv", "in")
		p.says("waiting for files")
		return p
	}
	send := func() *process { return m.start(nil, "genosrtc", "send", "--wait", "big.iso") }
	arrived := func(p *process, fraction float64) {
		t.Helper()
		p.until(fmt.Sprintf("%.0f%% of the file", 100*fraction), func() bool {
			return m.partSize("in") >= int64(fraction*float64(len(file)))
		})
	}

	start := time.Now()
	r, s := recv(), send()
	arrived(r, 0.2)
	s.interrupt()
	s.exits(130)
	s.says("the same command goes on")
	atSender := m.partSize("in")

	s = send()
	arrived(r, max(0.4, float64(atSender)/float64(len(file))+0.1))
	r.interrupt()
	r.exits(130)
	r.says("the same command in the same folder goes on")
	atRecipient := m.partSize("in")

	r = recv()
	arrived(r, max(0.6, float64(atRecipient)/float64(len(file))+0.1))
	server.kill()
	atServer := m.partSize("in")
	m.server()

	s.exits(0)
	r.exits(0)
	took := time.Since(start)
	path := strings.TrimSpace(r.out.String())
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, file) || filepath.Base(path) != "big.iso" {
		t.Fatalf("%q has %d bytes that differ from the %d sent, %v", path, len(got), len(file), err)
	}
	for _, left := range []string{"in/*.part", "cache/*/*.json", "cache/*/*.tmp"} {
		if names, _ := filepath.Glob(m.path(left)); len(names) > 0 {
			t.Errorf("left behind: %s", names)
		}
	}
	// Each sender's last line is about what it sent itself.
	if !regexp.MustCompile(`100%  64 MiB of 64 MiB`).MatchString(s.err.String()) {
		t.Errorf("the sender said:\n%s", s.err.String())
	}
	t.Logf("64 MiB, SIGINT to the sender at %d MiB, to the recipient at %d MiB, kill -9 of the server at %d MiB: whole after %.1f s",
		atSender>>20, atRecipient>>20, atServer>>20, took.Seconds())
}

// TestSendGoesOnLater has the sender away for longer than its session lives: what
// the recipient has kept is not sent again.
func TestSendGoesOnLater(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "limits {\n resume 1s\n }")
	m.server()
	file := make([]byte, 16<<20)
	rand.NewChaCha8([32]byte{2}).Read(file)
	m.write("big.iso", file)
	r := m.start(nil, "genosrtc", "recv", "in")
	r.says("waiting for files")
	s := m.start(nil, "genosrtc", "send", "big.iso")
	r.until("a quarter", func() bool { return m.partSize("in") >= 4<<20 })
	s.interrupt()
	s.exits(130)
	r.says("the sender has left")

	s = m.start(nil, "genosrtc", "send", "big.iso")
	s.exits(0)
	r.exits(0)
	s.says("the session before has ended (expired)")
	if first := regexp.MustCompile(`big\.iso +(\d+)%`).FindStringSubmatch(s.err.String()); first == nil || len(first[1]) == 1 {
		t.Errorf("the sender said:\n%s", s.err.String())
	}
	if got, err := os.ReadFile(strings.TrimSpace(r.out.String())); err != nil || !bytes.Equal(got, file) {
		t.Errorf("%d bytes differ from the %d sent, %v", len(got), len(file), err)
	}
}

// TestSendToSome covers who gets a file, and what the exit code says.
func TestSendToSome(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.server()
	m.write("note.txt", []byte("a note"))
	m.start(nil, "genosrtc", "send", "note.txt").exits(1) // nobody is there
	m.start(nil, "genosrtc", "send", "nothing.txt").exits(1)
	m.start(nil, "genosrtc", "send", "--room", "none", "note.txt").exits(1)
	m.start(nil, "genosrtc", "send", "--room", "closed", "note.txt").exits(1)

	waiting := m.start(nil, "genosrtc", "send", "--wait", "note.txt")
	waiting.says("waiting for somebody")
	first := m.start(nil, "genosrtc", "recv", "one")
	first.exits(0)
	waiting.exits(0)

	m.write("one/.keep", nil)
	again := m.start(nil, "genosrtc", "recv", "one", "--watch")
	again.says("as ")
	id := regexp.MustCompile(`as (\w+)`).FindStringSubmatch(again.err.String())[1]
	some := m.start(strings.NewReader("from a pipe"), "genosrtc", "send", "-", "--name", "../note.txt", "--to", id+",nobodyOfThisName")
	some.exits(2)
	some.says("1 of 2 recipients do not have")
	again.until("second note", func() bool { return strings.Contains(again.out.String(), "note (2).txt\n") })
	again.interrupt()
	again.exits(0)
	for name, want := range map[string]string{"one/note.txt": "a note", "one/note (2).txt": "from a pipe"} {
		if got, err := os.ReadFile(m.path(name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// partSize is how much of the one file that arrives in a folder is there.
func (m *machine) partSize(folder string) int64 {
	names, _ := filepath.Glob(filepath.Join(m.path(folder), "*.part"))
	if len(names) != 1 {
		return 0
	}
	info, err := os.Stat(names[0])
	if err != nil {
		return 0
	}
	return info.Size()
}
