package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpponent(t *testing.T) {
	for _, c := range []struct{ against, url, dist, name, problem string }{
		{"", "", "", "bare", ""},
		{"relay {PORT}", "ws://127.0.0.1:{PORT}", "", "other", ""},
		{"relay {PORT}", "ws://127.0.0.1:{PORT}", "/dist", "other", ""},
		{"", "ws://127.0.0.1:1", "", "other", ""},
		{"relay", "", "", "", "-url"},
	} {
		got, err := opponent(c.against, c.url, c.dist)
		if got.name != c.name || (err != nil) != (c.problem != "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%+v: %q, %v", c, got.name, err)
		}
	}
}

func TestGenosDBNeedsBun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := opponent("", "", "/dist"); err == nil || !strings.Contains(err.Error(), "npm install bun") {
		t.Errorf("error %v", err)
	}
}

// A command gets its port and an empty directory, which goes away with it; that
// it ended is noticed.
func TestStart(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	c := contestant{
		url:     "ws://127.0.0.1:{PORT}/",
		command: []string{"sh", "-c", `echo {PORT} $PORT $HOME $PWD $(ls -A) > ` + seen},
		scratch: true,
	}
	if _, err := c.start(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("error %v", err)
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(text))
	if len(words) != 4 || words[0] != words[1] || words[2] != words[3] {
		t.Fatalf("the command saw %q", words)
	}
	if _, err := os.Stat(words[2]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its directory is still there: %v", err)
	}
}
