package client

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// The place is told, and the peers are asked for again when the connection was lost in
// the middle of the answer.
func TestMesh(t *testing.T) {
	place := MeshState{Epoch: 3, Cell: "cell-2", Bridge: true, Bridges: []string{"cell-1"}, Size: 5, Cells: 4, Known: 3, Peers: 17, TTL: 9, Mixed: true}
	peers := []MeshPeer{{"a", "cell-0", true, []string{"cell-1"}}, {"b", "cell-1", false, []string{}}}
	for _, text := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t, func(n int, c *served) {
				c.welcome(frame{Resumed: n > 1})
				if n == 1 {
					c.say(&frame{Op: opMesh, Peer: "me", MeshState: place})
					id := c.expect(opMesh).ID
					c.say(&frame{Op: opMesh, ID: id, Roster: peers[:1], More: true})
					return
				}
				id := c.expect(opMesh).ID
				c.say(&frame{Op: opMesh, ID: id, Roster: peers[:1], More: true})
				c.say(&frame{Op: opMesh, ID: id, Roster: peers[1:]})
				c.say(&frame{Op: opError, ID: c.expect(opMesh).ID, Code: "unknown_op", Text: "no"})
				c.expect(opMesh) // is not answered
				c.expect(opLeave)
			}, nil)
			defer s.close()
			told := make(chan MeshState, 1)
			r, err := s.dial(Options{JSON: text, Notify: func(e Event) {
				if m, ok := e.(MeshChange); ok {
					told <- m.MeshState
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			want := place
			want.Peer = "me"
			if got := <-told; !reflect.DeepEqual(got, want) || !reflect.DeepEqual(r.MeshState(), want) {
				t.Errorf("told %+v, then %+v", got, r.MeshState())
			}
			if got, err := r.MeshPeers(t.Context()); err != nil || !reflect.DeepEqual(got, peers) {
				t.Errorf("peers %+v, %v", got, err)
			}
			if got := r.MeshState(); got.Epoch != 0 {
				t.Errorf("place %+v, of which this connection said nothing", got)
			}
			if _, err := r.MeshPeers(t.Context()); err == nil || err.Error() != "client: mesh: unknown_op: no" {
				t.Errorf("refused: %v", err)
			}
			time.AfterFunc(time.Second, func() { r.Close() })
			if _, err := r.MeshPeers(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		})
	}
}
