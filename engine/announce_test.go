package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Pages that come shortly after another need not wait for the server's next
// announce; a crowd shares announces.
func TestPagesInARowAreAnsweredAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		server := serverID(join(t, room, engine.SeatConfig{}))
		settle(10 * time.Second)
		for i := range 6 {
			p := openPage(t, net, fmt.Sprint("load ", i), fmt.Sprintf("%c%c%c%c", 'A'+i, 'A', 'A', 'A'), "demo", "")
			settle(100 * time.Millisecond)
			if !p.linked(server) {
				t.Errorf("page %d is not linked after 100 ms", i)
			}
			settle(800 * time.Millisecond)
		}
		var heard int
		watch, err := net.Endpoint("watch").Open(engine.AppRoom("demo"), "", func(s engine.Signal) {
			if s.Kind == engine.Announce && s.From == server {
				heard++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()
		settle(10 * time.Second)
		heard = 0
		for i := range 50 {
			openPage(t, net, fmt.Sprint("crowd ", i), fmt.Sprintf("B%03d", i), "demo", "")
			settle(10 * time.Millisecond)
		}
		settle(3 * time.Second)
		if heard > 8 {
			t.Errorf("%d announces to a crowd that came within half a second", heard)
		}
	})
}
