package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestOperate(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	admin := freeAddress(t)
	raw, err := os.ReadFile(m.path("Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("Caddyfile", bytes.Replace(raw, []byte("admin off"), []byte("admin "+admin), 1))
	m.server()
	run := func(code int, args ...string) string {
		t.Helper()
		p := m.start(nil, append([]string{"genosrtc"}, args...)...)
		p.exits(code)
		return p.out.String() + p.err.String()
	}
	in, _ := keyboard(t)
	ada := m.start(in, "genosrtc", "join", "--name", "Ada")
	ada.says("in room")

	said := run(0, "status", "--address", admin)
	for _, want := range []string{"closed  0 ", "demo    1 ", "local  connected"} {
		if !strings.Contains(said, want) {
			t.Errorf("status does not say %q:\n%s", want, said)
		}
	}
	if said := run(0, "status", "--json", "--config", "Caddyfile", "--adapter", "caddyfile"); !strings.Contains(said, `"state":"connected"`) {
		t.Errorf("status as JSON: %s", said)
	}
	if said := run(0, "why", "--address", admin, "--room", "demo", "nobody"); !strings.Contains(said, "cause  unseen\n") || !strings.Contains(said, "nothing was heard") {
		t.Errorf("why: %s", said)
	}
	if said := run(1, "kick", "--address", admin, "--room", "demo", "nobody"); !strings.Contains(said, "no such peer") {
		t.Errorf("kick: %s", said)
	}
	run(0, "drain", "--address", admin, "--over", "10ms", "--wait")
	ada.says("not connected")
	if said := run(1, "status", "--address", admin); !strings.Contains(said, "draining") {
		t.Errorf("status while draining: %s", said)
	}
	run(0, "drain", "--address", admin, "--undo")
	ada.says("connected again")
}
