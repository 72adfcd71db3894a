package genosrtc

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// ask sends a request of JSON and returns the status and the body of the answer.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := testclient.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A running room begins to keep its graph, ends it, and has it again; what cannot be
// opened changes nothing.
func TestMemoryIsApplied(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Rooms: rooms("demo"), Storage: dir, UDP: loopback}
	s := start(t, cfg)
	url := serve(t, s, Site{}) + "/rooms/demo/graph/node"
	apply := func(memory, write bool) error {
		cfg := s.config
		cfg.Rooms = []Room{{Name: "demo", Memory: memory, AnonymousWrite: write}}
		return s.Apply(cfg)
	}
	want := func(method, body string, status int) {
		t.Helper()
		if got, text := ask(t, method, url, body); got != status {
			t.Errorf("%s is answered %d %s, want %d", method, got, text, status)
		}
	}
	want("GET", "", http.StatusNotFound)
	if err := apply(true, true); err != nil {
		t.Fatal(err)
	}
	want("PUT", "1", http.StatusCreated)
	if err := apply(true, false); err != nil {
		t.Fatal(err)
	}
	want("PUT", "2", http.StatusForbidden)
	want("GET", "", http.StatusOK)
	if err := apply(false, false); err != nil {
		t.Fatal(err)
	}
	want("GET", "", http.StatusNotFound)

	file := filepath.Join(dir, "rooms", "demo", "graph.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("not a graph"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := apply(true, true); err == nil || !strings.Contains(err.Error(), "put a backup in its place") {
		t.Errorf("a damaged graph: %v", err)
	}
	want("GET", "", http.StatusNotFound)
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := apply(true, true); err != nil {
		t.Fatal(err)
	}
	if status, text := ask(t, "GET", url, ""); status != http.StatusOK || !strings.Contains(text, `"value":1`) {
		t.Errorf("the node of before: %d %s", status, text)
	}
	if err := apply(false, true); err == nil || !strings.Contains(err.Error(), "anonymous write needs memory") {
		t.Errorf("anonymous write without memory: %v", err)
	}
}
