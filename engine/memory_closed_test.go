package engine_test

import (
	"errors"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Who still has a memory when it is closed is told so by all that it does.
func TestClosedMemory(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		m, stop := remembering(t, net, "first", t.TempDir())
		put(t, m, "x", `1`, engine.Change{})
		stop()
		_, get := m.Get("x")
		_, change := m.Put(t.Context(), "x", []byte("2"), engine.Change{})
		_, wait := m.Changes(t.Context(), 0)
		scan := m.Scan(t.Context(), "", func(graph.Entry) bool { return true })
		for name, err := range map[string]error{"get": get, "put": change, "changes": wait, "scan": scan} {
			if !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
