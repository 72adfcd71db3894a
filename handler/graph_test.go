package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// remember opens a room with a graph.
func (s *site) remember(cfg engine.RoomConfig) *engine.Memory {
	s.t.Helper()
	if room, ok := s.node.Room(cfg.Name); ok {
		if err := room.Close(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
	cfg.Memory = true
	room, err := s.node.Open(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return room.Memory()
}

func remembering(t *testing.T) (*site, *engine.Memory) {
	t.Helper()
	s := serve(t, Config{})
	return s, s.remember(engine.RoomConfig{Name: "demo", AnonymousWrite: true})
}

// nodeList is what a list answers.
type nodeList struct {
	Nodes []struct {
		ID    string
		Value json.RawMessage
		Edges []string
	}
	Cursor string
}

func (s *site) list(query string) (list nodeList) {
	s.t.Helper()
	res, err := http.Get(s.server.URL + "/genosrtc/rooms/demo/graph" + query)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("list %s: %d, %v", query, res.StatusCode, err)
	}
	return list
}

func TestGraphHTTP(t *testing.T) {
	s := serve(t, Config{
		ClientIP: func(r *http.Request) string { return r.Header.Get("X-Test-Address") },
		Settings: Settings{
			Rooms:   func(name string) bool { return name != "unknown" },
			Origins: []string{"https://app.example"},
			Limits:  Limits{Message: 1000, SessionsPerAddress: 2},
		},
	})
	s.remember(engine.RoomConfig{Name: "demo", AnonymousWrite: true})
	s.remember(engine.RoomConfig{Name: "open"})
	s.remember(engine.RoomConfig{Name: "locked", Password: "geheim"})
	s.open("plain")
	g := &golden{t: t, handler: s.h, server: s.server.URL, seqs: []string{}}
	g.file("testdata/graph.txt", 70)
}

// watch opens a stream of a graph's changes.
func (s *site) watch(query, last string) *reading {
	s.t.Helper()
	header := http.Header{}
	if last != "" {
		header.Set("Last-Event-ID", last)
	}
	return s.events("demo/graph", query, header)
}

// change is one event of a graph.
func (r *reading) change() (e event, node struct {
	ID    string
	Value json.RawMessage
}) {
	r.t.Helper()
	for {
		if e = r.next(); e.kind == "" {
			continue
		}
		if err := json.Unmarshal([]byte(e.data), &node); err != nil {
			r.t.Fatalf("%+v: %v", e, err)
		}
		return e, node
	}
}

// Whoever follows the events, however often the connection is lost, has what a list
// has; a node that the filter selects no longer is told of as removed.
func TestGraphEventsMirrorTheList(t *testing.T) {
	for _, query := range []string{"", "?filter=" + url.QueryEscape(`{"n":{"$lt":5}}`), "?prefix=a&filter=" + url.QueryEscape(`{"n":{"$gte":3}}`)} {
		s, m := remembering(t)
		random := rand.New(rand.NewPCG(1, 2))
		change := func(n int) {
			for range n {
				id := string("ab"[random.IntN(2)]) + strconv.Itoa(random.IntN(4))
				var err error
				switch random.IntN(4) {
				case 0:
					if _, err = m.Remove(t.Context(), id, engine.Change{}); errors.Is(err, engine.ErrNoNode) {
						err = nil
					}
				case 1:
					if _, err = m.Link(t.Context(), id, "a0", engine.Change{}); errors.Is(err, engine.ErrNoNode) {
						err = nil
					}
				default:
					_, err = m.Put(t.Context(), id, fmt.Appendf(nil, `{"n":%d}`, random.IntN(8)), engine.Change{})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		change(10)
		mirror := map[string]string{}
		last := "0"
		for range 8 {
			r := s.watch(query, last)
			change(random.IntN(8))
			if _, err := m.Put(t.Context(), "a-end", fmt.Appendf(nil, `{"n":%d}`, random.IntN(8)), engine.Change{}); err != nil {
				t.Fatal(err)
			}
			for last, head := last, m.Head(); ; { // until all of it is here
				e, node := r.change()
				switch e.kind {
				case "node":
					mirror[node.ID] = string(node.Value)
				case "removed":
					delete(mirror, node.ID)
				}
				last = e.id
				if last == strconv.FormatUint(head, 10) {
					break
				}
			}
			last = strconv.FormatUint(m.Head(), 10)
			r.cancel()
			change(random.IntN(8))
			if random.IntN(3) == 0 {
				break
			}
		}
		r := s.watch(query, last)
		if _, err := m.Put(t.Context(), "a-end", []byte(`{"n":4}`), engine.Change{}); err != nil {
			t.Fatal(err)
		}
		for {
			e, node := r.change()
			switch e.kind {
			case "node":
				mirror[node.ID] = string(node.Value)
			case "removed":
				delete(mirror, node.ID)
			}
			if e.id == strconv.FormatUint(m.Head(), 10) {
				break
			}
		}
		want := map[string]string{}
		for _, node := range s.list(query).Nodes {
			want[node.ID] = string(node.Value)
		}
		if !maps.Equal(mirror, want) {
			t.Errorf("%s: got %v, want %v", query, mirror, want)
		}
	}
}
