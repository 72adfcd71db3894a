package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
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
	s.remember(engine.RoomConfig{Name: "ruled", AnonymousWrite: true, Rules: []engine.Rule{{
		Channel: engine.ChannelGraph, MaxSize: 40, Schema: []byte(`{"properties": {"t": {"type": "number"}}}`),
	}}})
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

// Of those who put a node at once, one has made it.
func TestGraphNodeIsMadeOnce(t *testing.T) {
	s, _ := remembering(t)
	var statuses [6]int
	var running sync.WaitGroup
	for i := range statuses {
		running.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.server.URL+"/genosrtc/rooms/demo/graph/x", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			statuses[i] = res.StatusCode
		})
	}
	running.Wait()
	slices.Sort(statuses[:])
	if statuses != [6]int{200, 200, 200, 200, 200, 201} {
		t.Error(statuses)
	}
}

// What a token says of the channel syncGraph holds for the graph.
func TestGraphGrants(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: bytes.Repeat([]byte("k"), 32), Audience: "demo"}
	tokens, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Settings: Settings{Auth: Auth{Tokens: tokens}}})
	s.remember(engine.RoomConfig{Name: "demo"})
	none, some := []string{}, []string{"sync*"}
	for _, c := range []struct {
		publish, subscribe []string
		read, write        int
	}{
		{nil, nil, 404, 400},
		{none, nil, 404, 403},
		{nil, none, 403, 400},
		{some, some, 404, 400},
	} {
		token, err := admission.Mint(cfg, admission.Claims{Publish: c.publish, Subscribe: c.subscribe, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		url := s.server.URL + "/genosrtc/rooms/demo/graph/x"
		request(t, http.MethodGet, url, header).want(c.read)
		request(t, http.MethodPut, url, header).want(c.write) // without a body
		if c.read == 403 {
			request(t, http.MethodGet, s.server.URL+"/genosrtc/rooms/demo/graph/events", header).want(403)
		}
	}
	request(t, http.MethodGet, s.server.URL+"/genosrtc/rooms/demo/graph", nil).want(401)
}

// A stream that has nothing to tell shows signs of life, and where the reader is,
// whatever happens that it is not to hear of; and it ends with the graph.
func TestGraphHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveIn(t, Config{})
		m := s.remember(engine.RoomConfig{Name: "demo"})
		room, _ := s.node.Room("demo")
		w := httptest.NewRecorder()
		var running sync.WaitGroup
		running.Go(func() {
			s.h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/genosrtc/rooms/demo/graph/events?prefix=x", nil))
		})
		for range 50 {
			time.Sleep(time.Second)
			if _, err := m.Put(t.Context(), "y", []byte("{}"), engine.Change{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := room.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		running.Wait()
		got := regexp.MustCompile(`[0-9]+`).ReplaceAllString(w.Body.String(), "N")
		want := "retry: N\nid: N\nevent: current\ndata: {\"room\":\"demo\"}\n\n" + strings.Repeat(":\nid: N\n\n", 2) + ": room closed\n\n"
		if got != want {
			t.Errorf("%s", w.Body)
		}
	})
}

// The server's end ends a stream.
func TestGraphEventsEndWithTheServer(t *testing.T) {
	s, _ := remembering(t)
	r := s.watch("", "")
	r.next()
	if err := s.h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := r.next(); !e.comment || e.data != "the server is stopping" {
		t.Errorf("%+v", e)
	}
	if e, err := r.parse(); err != io.EOF {
		t.Errorf("%+v, %v", e, err)
	}
	get(t, s.server.URL+"/genosrtc/rooms/demo/graph", nil).want(http.StatusServiceUnavailable)
}

// An entity tag is that of one timestamp.
func TestETags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := graph.Timestamp{Physical: rapid.Int64().Draw(t, "physical"), Logical: rapid.Uint64().Draw(t, "logical")}
		if got, ok := parseETag(etag(want)); !ok || got != want {
			t.Fatalf("%s is %v, %v", etag(want), got, ok)
		}
	})
	for _, bad := range []string{``, `"`, `""`, `"-"`, `1-2`, `"1-2`, `"1--2"`, `"01-2"`, `"+1-2"`, `W/"1-2"`, `""1-2""`, `"1-18446744073709551616"`} {
		if got, ok := parseETag(bad); ok {
			t.Errorf("%s is %v", bad, got)
		}
	}
}

// Of 20,000 nodes a filtered list, and all as events.
func BenchmarkGraph(b *testing.B) {
	s := serve(b, Config{})
	m := s.remember(engine.RoomConfig{Name: "demo", AnonymousWrite: true})
	var running sync.WaitGroup
	for part := range 200 {
		running.Go(func() {
			for i := part; i < 20_000; i += 200 {
				value := fmt.Appendf(nil, `{"type":"sensor","name":"sensor %d","at":{"lat":%d.5,"lon":7.25},"tags":["a","b","c"],"t":%d,"text":"%s"}`,
					i, i%90, i%500, strings.Repeat("lorem ipsum ", 16))
				if _, err := m.Put(b.Context(), fmt.Sprintf("node-%05d", i), value, engine.Change{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
	for _, order := range []string{"", "-t"} {
		b.Run("order="+order, func(b *testing.B) {
			query := "?limit=100&order=" + order + "&filter=" + url.QueryEscape(`{"type":"sensor","t":{"$gte":495},"at.lat":{"$lt":10}}`)
			for b.Loop() {
				if n := len(s.list(query).Nodes); n == 0 {
					b.Fatal(n)
				}
			}
		})
	}
	b.Run("events", func(b *testing.B) {
		for b.Loop() {
			r := s.watch("?after=0", "")
			for n := 0; ; n++ {
				if e, _ := r.change(); e.kind == "current" {
					if n != 20_000 {
						b.Fatal(n)
					}
					break
				}
			}
			r.cancel()
		}
	})
}
