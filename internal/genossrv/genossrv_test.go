package genossrv

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testdata/data.sqlite was written by GenosSRV itself, which was killed then: some of
// it is in the log beside it.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"data.sqlite", "data.sqlite-wal"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	s, bad, err := Read(t.Context(), filepath.Join(dir, "data.sqlite"), "db6")
	if err != nil || bad != 0 {
		t.Fatal(bad, err)
	}
	nodes := map[string]graph.Entry{}
	for _, e := range s.Nodes {
		nodes[e.ID] = e
		if e.Timestamp.Physical < 1e12 || e.Timestamp.IsZero() {
			t.Errorf("%q: %v", e.ID, e.Timestamp)
		}
	}
	for id, want := range map[string]string{
		"ada":    `{"name":"Ada","n":1.5,"big":12345678901234567000,"nested":{"a":[1,"two",null,true],"ünï":"☃ \"quoted\" \\ \n"}}`,
		"str":    `"plain string"`,
		"num":    `42`,
		"arr":    `[1,2,3]`,
		"nul":    `{"nothing":null}`,
		"ключ ☃": `{"e":""}`,
		"late":   `{"after":"all"}`,
	} {
		if got := string(nodes[id].Value); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
	if got := strings.Join(nodes["ada"].Edges, " "); got != "b str" {
		t.Errorf("edges %q", got)
	}
	if len(s.Removals) != 1 || s.Removals[0].ID != "gone" || s.Removals[0].Timestamp.IsZero() {
		t.Errorf("removals %v", s.Removals)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("beside the file: %v %v", left, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"testdata/data.sqlite": `it has no database "other", but "db6"`,
		"testdata/none.sqlite": "no such file",
		"genossrv.go":          "it is not a file of GenosSRV",
	} {
		if _, _, err := Read(t.Context(), path, "other"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// FuzzJSON has MessagePack of others read: an error, or JSON.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		"\x83\xa1a\x92\x01\xcb?\xf8\x00\x00\x00\x00\x00\x00\xa1b\xc0\xa1c\xc3", "\xd6\xff\x00\x00\x00\x00", "\x81\xa1b\xc4\x01x", "\xca\x7f\x80\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		text, err := appendJSON(nil, msgpack.NewDecoder(bytes.NewReader(packed)), 0)
		if err == nil && !json.Valid(text) {
			t.Errorf("%q", text)
		}
	})
}
