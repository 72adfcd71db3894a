package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testNodes(n int) []node {
	rng := rand.New(rand.NewPCG(1, 1))
	nodes := make([]node, n)
	for i := range nodes {
		nodes[i] = newNode(rng, i, fmt.Sprint("test ", i))
	}
	return nodes
}

func TestNodes(t *testing.T) {
	for _, n := range testNodes(100) {
		var value struct{ Mark string }
		if err := json.Unmarshal(n.value, &value); err != nil || value.Mark != n.mark {
			t.Fatalf("%s, %v", n.value, err)
		}
		if d := len(n.value) - valueSize; d < -20 || d > 40 {
			t.Errorf("%d bytes: %s", len(n.value), n.value)
		}
	}
}

// What a peer puts is told by the events, and comes to the next peer.
func TestPeer(t *testing.T) {
	server, err := genosrtc.New(genosrtc.Config{
		Rooms:   []genosrtc.Room{{Name: database, Memory: true, AnonymousWrite: true}},
		UDP:     "127.0.0.1:0",
		Storage: t.TempDir(),
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	handler, err := server.Handler(genosrtc.Site{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	defer web.Close()
	relay := "ws" + strings.TrimPrefix(web.URL, "http") + "/genosrtc/relay"
	events, err := watchEvents(t.Context(), web.URL+"/genosrtc/rooms/"+database+"/graph/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.close()

	p, err := connect(t.Context(), relay, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	began, nodes := time.Now(), testNodes(3*message+1)
	if err := p.putAll(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	if at, err := events.saved(t.Context(), marks(nodes)); err != nil || at.Before(began) {
		t.Fatalf("saved %v, %v", at, err)
	}
	q, err := connect(t.Context(), relay, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	if took, bytes, err := q.catchUp(t.Context(), len(nodes)); err != nil || took <= 0 || bytes < len(nodes) {
		t.Errorf("caught up in %v with %d bytes, %v", took, bytes, err)
	}
}
