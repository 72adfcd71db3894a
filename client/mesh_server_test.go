package client_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/client"
)

// store is where a transfer goes.
type store struct{ bytes []byte }

func (s *store) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(s.bytes).ReadAt(b, at)
}

func (s *store) WriteAt(b []byte, at int64) (int, error) {
	s.bytes = append(s.bytes[:at], b...)
	return len(b), nil
}

// meshed is a client in a room of cells, and what it was told.
type meshed struct {
	*client.Room
	events  chan client.Event
	arrived chan []byte // transfers
	meta    chan any
}

// enterMesh joins a room of cells.
func enterMesh(t *testing.T, url string, json bool) *meshed {
	t.Helper()
	m := &meshed{events: make(chan client.Event, 10_000), arrived: make(chan []byte, 1), meta: make(chan any, 1)}
	var err error
	m.Room, err = client.Dial(t.Context(), url, "demo", client.Options{
		JSON: json, Notify: func(e client.Event) { m.events <- e },
		Accept: func(in client.Incoming) (client.Sink, error) {
			m.meta <- in.Meta
			s := new(store)
			return client.Sink{Store: s, Done: func(err error) {
				if err != nil {
					t.Errorf("a transfer ended with %v", err)
				}
				m.arrived <- s.bytes
			}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// sealed waits until n peers have been sealed; with 0, until the room has no cells.
func (m *meshed) sealed(t *testing.T, n int) client.MeshState {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e := <-m.events:
			if c, ok := e.(client.MeshChange); ok && c.Peers == n {
				return c.MeshState
			}
		case <-late:
			t.Fatalf("%d peers are not sealed; the place is %+v", n, m.MeshState())
		}
	}
}

// A room gets cells while it is open. Sessions are told their places and those of all,
// and between cells they lose nothing: JSON, bytes of any size, meta and progress.
func TestMeshBetweenSessions(t *testing.T) {
	const sessions, size = 8, 3
	server, url := startWith(t, genosrtc.Config{Rooms: []genosrtc.Room{{Name: "demo"}}})
	apply := func(room genosrtc.Room) {
		t.Helper()
		if err := server.Apply(genosrtc.Config{UDP: "127.0.0.1:0", Rooms: []genosrtc.Room{room}}); err != nil {
			t.Fatal(err)
		}
	}
	var all []*meshed
	for i := range sessions {
		all = append(all, enterMesh(t, url, i%2 == 0))
	}
	if peers, err := all[0].MeshPeers(t.Context()); err != nil || len(peers) > 0 {
		t.Errorf("before there are cells: %v, %v", peers, err)
	}
	apply(genosrtc.Room{Name: "demo", Cells: genosrtc.CellsOn, CellSize: size})
	places := make(map[string]client.MeshState)
	for _, m := range all {
		s := m.sealed(t, sessions+1) // and the server
		if id, _ := m.Mesh(); s.Peer != id || s.Epoch == 0 || s.Size != size || s.Cells != 3 || s.TTL != 7 || s.Bridge != (len(s.Bridges) > 0) {
			t.Errorf("the place is %+v", s)
		}
		places[s.Peer] = s
	}
	a := all[0]
	peers, err := a.MeshPeers(t.Context())
	if err != nil || len(peers) != sessions+1 {
		t.Fatalf("peers %v, %v", peers, err)
	}
	for _, p := range peers {
		if s, ok := places[p.ID]; ok && (s.Cell != p.Cell || s.Bridge != p.Bridge || !slices.Equal(s.Bridges, p.Bridges)) {
			t.Errorf("the peer %+v has the place %+v", p, s)
		}
	}
	i := slices.IndexFunc(all, func(m *meshed) bool { return m.MeshState().Cell != a.MeshState().Cell })
	b := all[max(1, i)] // of another cell, if there is one

	if _, err := a.Send(t.Context(), client.ChannelMesh, map[string]any{"hello": 1}); err != nil {
		t.Fatal(err)
	}
	for _, m := range all[1:] {
		got, err := m.Receive(t.Context())
		if err != nil || got.Channel != client.ChannelMesh || got.From != a.Peer() {
			t.Errorf("heard %+v, %v", got, err)
		}
	}
	small := []byte(strings.Repeat("bytes ", 100))
	if _, err := a.Send(t.Context(), client.ChannelMesh, small, client.To(b.Peer()), client.Meta("m")); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Receive(t.Context()); err != nil || !bytes.Equal(got.Data.([]byte), small) || got.Meta != "m" {
		t.Errorf("heard %+v, %v", got, err)
	}

	large := make([]byte, 5_000_000)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(large)
	up, err := a.SendReader(client.ChannelMesh, bytes.NewReader(large), int64(len(large)), client.Outgoing{
		Options: []client.SendOption{client.To(b.Peer()), client.Meta(map[string]any{"name": "a.bin"})},
	})
	if err != nil {
		t.Fatal(err)
	}
	if results, err := up.Wait(t.Context()); err != nil || len(results) > 0 {
		t.Fatalf("the transfer: %v, %v", results, err)
	}
	if meta := <-b.meta; meta.(map[string]any)["name"] != "a.bin" {
		t.Errorf("meta %v", meta)
	}
	if got := <-b.arrived; !bytes.Equal(got, large) {
		t.Errorf("%d bytes arrived, which are not those that were sent", len(got))
	}
	n, last := 0, 0.0
	for last < 1 {
		if p, ok := (<-a.events).(client.Progress); ok && p.Transfer == up.ID() {
			if p.Fraction < last {
				t.Errorf("progress %v after %v", p.Fraction, last)
			}
			n, last = n+1, p.Fraction
		}
	}
	if n < 50 {
		t.Errorf("progress was told %d times", n)
	}
	apply(genosrtc.Room{Name: "demo", Cells: genosrtc.CellsOff})
	b.sealed(t, 0)
}
