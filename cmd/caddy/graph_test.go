package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

const lines = `{"id":"a","value":{"b":"<&>","a":1.50},"edges":["b","gone"],"timestamp":{"physical":1700000000000,"logical":2},"extra":{"sig":"x"}}
{"id":"b","value":null,"timestamp":{"physical":1700000000001,"logical":0}}
{"id":"gone","timestamp":{"physical":1700000000002,"logical":0},"removed":true}
{"id":"untimed","value":"x","timestamp":null}
`

// What export prints, import takes: into the same room, and into another.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	m := &machine{T: t, dir: t.TempDir()}
	m.write("in.jsonl", []byte(lines))
	in := func(room string, args ...string) *process {
		return m.start(strings.NewReader(lines), append([]string{"genosrtc", args[0], "--storage", "store", "--room", room}, args[1:]...)...)
	}
	p := in("demo", "export")
	p.exits(1)
	p.says(`no graph of room "demo", but of no other`)
	p = in("demo", "import", "in.jsonl")
	p.exits(0)
	p.says("4 entries changed room \"demo\", 0 were not newer than what it had; it has 3 nodes now")
	p = in("demo", "import", "-")
	p.exits(0)
	p.says("0 entries changed")
	out := in("demo", "export")
	out.exits(0)
	out.says("4 entries")
	if got := out.out.String(); got != lines {
		t.Errorf("exported\n%s", got)
	}
	m.write("new.jsonl", fmt.Appendf(nil, "%s\n%s\n",
		`{"id":"a","value":1,"timestamp":{"physical":1,"logical":0}}`, // older
		`{"id":"gone","value": [ 1 ],"timestamp":{"physical":1700000000003,"logical":0}}`))
	p = in("demo", "import", "new.jsonl")
	p.exits(0)
	p.says("1 entries changed room \"demo\", 1 were not newer than what it had; it has 4 nodes now")
	out = in("demo", "export")
	out.exits(0)
	if got, want := out.out.String(), strings.Replace(lines, `{"id":"gone","timestamp":{"physical":1700000000002,"logical":0},"removed":true}`,
		`{"id":"gone","value":[1],"timestamp":{"physical":1700000000003,"logical":0}}`, 1); got != want {
		t.Errorf("exported\n%s", got)
	}
	p = in("Other Room", "export")
	p.exits(1)
	p.says("but of demo")
	for line, want := range map[string]string{
		`{"id":"x"}`:                          `line 2: "value" is missing`,
		`{"id":"","value":1}`:                 `line 2: "id" has 1 to 1024 bytes`,
		`{"id":"x","value":1,"removed":true}`: `line 2: what is removed`,
		`{"id":"x","value":1,"vlaue":1}`:      `line 2: json: unknown field "vlaue"`,
		`x`:                                   `line 2: invalid character`,
	} {
		m.write("bad.jsonl", []byte("\n"+line))
		p = in("demo", "import", "bad.jsonl")
		p.exits(1)
		p.says(want)
	}
	p = in("demo", "import")
	p.exits(1)
	p.says("name a file")
}

func TestImportFromGenosSRV(t *testing.T) {
	t.Parallel()
	m := &machine{T: t, dir: t.TempDir()}
	for _, name := range []string{"data.sqlite", "data.sqlite-wal"} {
		content, err := os.ReadFile("../../internal/genossrv/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		m.write(name, content)
	}
	p := m.start(nil, "genosrtc", "import", "--storage", "store", "--room", "demo", "--genossrv", "data.sqlite")
	p.exits(1)
	p.says(`it has no database "demo", but "db6"`)
	p = m.start(nil, "genosrtc", "import", "--storage", "store", "--room", "db6", "--genossrv", "data.sqlite")
	p.exits(0)
	p.says("14 entries changed")
	out := m.start(nil, "genosrtc", "export", "--storage", "store", "--room", "db6")
	out.exits(0)
	for _, want := range []string{`{"id":"ada","value":{"name":"Ada","n":1.5,`, `"edges":["b","str"]`, `{"id":"gone",`, `"removed":true}`} {
		if !strings.Contains(out.out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.out.String())
		}
	}
}

// What was imported the server serves, what it took is exported, also after kill -9;
// while it runs the folder is its own.
func TestExportFromAServer(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "room kept {\n memory\n anonymous write\n }")
	m.write("in.jsonl", []byte(lines))
	command := func(args ...string) *process {
		return m.start(nil, append([]string{"genosrtc", args[0], "--storage", "store", "--room", "kept"}, args[1:]...)...)
	}
	command("import", "in.jsonl").exits(0)
	server := m.server()
	for _, refused := range []*process{command("export"), command("import", "in.jsonl")} {
		refused.exits(1)
		refused.says("a server is running on store: stop it")
	}
	node := m.url() + "/rooms/kept/graph/"
	response, err := http.Get(node + "a")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.Body.Close() != nil || !strings.Contains(string(body), `{"b":"<&>","a":1.50}`) {
		t.Errorf("served %s, %v", body, err)
	}
	put, err := http.NewRequestWithContext(t.Context(), "PUT", node+"new", strings.NewReader(`{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	put.Header.Set("Content-Type", "application/json")
	if response, err = http.DefaultClient.Do(put); err != nil || response.Body.Close() != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("PUT: %v %v", response, err)
	}
	http.DefaultClient.CloseIdleConnections()
	server.kill()
	out := command("export")
	out.exits(0)
	if got := out.out.String(); !strings.Contains(got, `{"id":"new","value":{"n":1},"timestamp":`) || strings.Count(got, "\n") != 5 {
		t.Errorf("exported\n%s", got)
	}
}
