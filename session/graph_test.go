package session

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// remembering is a room that keeps its graph.
func remembering(t *testing.T, cfg engine.RoomConfig) *engine.Room {
	t.Helper()
	return rememberingIn(t, t.TempDir(), cfg)
}

func rememberingIn(t *testing.T, dir string, cfg engine.RoomConfig) *engine.Room {
	t.Helper()
	e := memnet.New().Endpoint("server")
	n := engine.New(engine.Config{Signaling: e, Transport: e, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	cfg.Memory = true
	return open(t, n, cfg)
}

// node is what the next message says, which must be a node's, without what differs
// from run to run.
func (c *client) node() string {
	c.t.Helper()
	m := c.hear("node")
	if m["seq"].(float64) == 0 || m["timestamp"].(map[string]any)["physical"].(float64) == 0 {
		c.t.Errorf("got %s", toJSON(c.t, m))
	}
	delete(m, "op")
	delete(m, "seq")
	delete(m, "timestamp")
	return toJSON(c.t, m)
}

func (c *client) wantNode(want string) {
	c.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		c.t.Fatal(err)
	}
	if got := c.node(); got != toJSON(c.t, v) {
		c.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// refusal wants an error about a request.
func (c *client) refusal(id int, code Code) {
	c.t.Helper()
	m := c.hear("error")
	if got, _ := m["id"].(float64); m["code"] != string(code) || int(got) != id {
		c.t.Errorf("got %s, want %s about %d", toJSON(c.t, m), code, id)
	}
}

func TestGraph(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		counters := new(Counters)
		c := enter(t, Config{Room: remembering(t, engine.RoomConfig{}), Codec: codec, Counters: counters})
		// All at once: they are done in this order.
		for _, m := range []string{
			`{"op":"put","id":1,"node":"a","data":{"n":1,"m":"x"}}`,
			`{"op":"put","id":2,"node":"b","data":"text"}`,
			`{"op":"link","id":3,"node":"a","target":"b"}`,
			`{"op":"patch","id":4,"node":"a","data": { "n": null, "k": [1] } }`,
			`{"op":"get","id":5,"node":"a"}`,
		} {
			c.say("%s", m)
		}
		c.wantNode(`{"id":1,"node":"a","data":{"n":1,"m":"x"},"edges":[]}`)
		c.wantNode(`{"id":2,"node":"b","data":"text","edges":[]}`)
		c.wantNode(`{"id":3,"node":"a","data":{"n":1,"m":"x"},"edges":["b"]}`)
		c.wantNode(`{"id":4,"node":"a","data":{"k":[1],"m":"x"},"edges":["b"]}`)
		c.wantNode(`{"id":5,"node":"a","data":{"k":[1],"m":"x"},"edges":["b"]}`)
		for _, m := range []string{
			`{"op":"put","id":6,"node":"a","data":{"$map":{"$bin":"AAEC"}}}`,
			`{"op":"remove","id":7,"node":"b"}`,
			`{"op":"get","id":8,"node":"a"}`,
		} {
			c.say("%s", m)
		}
		marked := `{"$map":{"$bin":"AAEC"}}`
		if codec == MessagePack {
			marked = `{"$bin":"AAEC"}`
		}
		if m := c.hear("node"); toJSON(t, m["data"]) != marked {
			t.Errorf("got %s", toJSON(t, m))
		}
		c.wantNode(`{"id":7,"node":"b","removed":true}`)
		c.wantNode(`{"id":8,"node":"a","data":` + marked + `,"edges":[]}`)

		c.say(`{"op":"put","id":9,"data":null}`)
		m := c.hear("node")
		if id := m["node"].(string); len(id) != 36 || m["data"] != nil {
			t.Errorf("got %s", toJSON(t, m))
		}
		at := toJSON(t, m["timestamp"])
		c.say(`{"op":"put","id":10,"node":%q,"data":1,"expect":%s}`, m["node"], at)
		c.node()

		for i, refused := range []struct {
			message string
			code    Code
		}{
			{`"op":"put","node":"a","data":1,"expect":"absent"`, CodeChanged},
			{`"op":"put","node":"b","data":1,"expect":"exists"`, CodeNoNode},
			{`"op":"remove","node":"a","expect":` + at, CodeChanged},
			{`"op":"put","node":"a","data":1,"expect":"never"`, CodeBadMessage},
			{`"op":"put","node":"a","data":1,"expect":{"physical":1}`, CodeBadMessage},
			{`"op":"put","node":"a","data":{"$bin":"AAEC"}`, CodeBadData},
			{`"op":"put","node":"a"`, CodeBadData},
			{`"op":"put","node":"a","data":{"n":1,"n":2}`, CodeBadData},
			{`"op":"patch","node":"a","data":["\ud83d"]`, CodeBadData},
			{`"op":"put","node":"a","data":` + strings.Repeat("[", graph.MaxDepth+1) + strings.Repeat("]", graph.MaxDepth+1), CodeBadData},
			{`"op":"put","node":7,"data":1`, CodeBadNode},
			{`"op":"put","node":"` + strings.Repeat("x", engine.MaxNodeID+1) + `","data":1`, CodeBadNode},
			{`"op":"put","node":"a","data":"` + strings.Repeat("x", DefaultMessage) + `"`, CodeTooLarge},
			{`"op":"link","node":"a"`, CodeBadNode},
			{`"op":"link","node":"a","target":"b"`, CodeNoNode},
			{`"op":"patch","node":"b","data":{}`, CodeNoNode},
			{`"op":"get","node":"b"`, CodeNoNode},
			{`"op":"watch","after":-1`, CodeBadMessage},
		} {
			if codec == MessagePack && (refused.code == CodeBadNode || refused.code == CodeBadData || refused.code == CodeBadMessage) {
				continue // say cannot write some of them
			}
			c.say(`{"id":%d,%s}`, 100+i, refused.message)
			c.refusal(100+i, refused.code)
		}
		if counters.Errors()[CodeNoNode] != 4 {
			t.Errorf("counted %v", counters.Errors())
		}
	})
}

// What a graph refuses is no fault of a client's in the protocol.
// Small requests with large answers, of which the client takes none, are not all held.
func TestGraphAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := enter(t, Config{Room: remembering(t, engine.RoomConfig{}), Limits: Limits{Message: 2 << 20}})
		c.say(`{"op":"put","id":1,"node":"a","data":{"text":%q}}`, strings.Repeat("x", 1<<20))
		c.node()
		const all = 24
		var taken atomic.Int64
		go func() {
			for n := range all {
				c.say(`{"op":"patch","id":%d,"node":"a","data":{"n":%d}}`, n, n)
				taken.Add(1)
			}
		}()
		synctest.Wait()
		if n := taken.Load(); n < 4 || n > 12 {
			t.Errorf("%d requests were taken with no answer to them read", n)
		}
		for range all {
			c.node()
		}
	})
}

// A value is compact, as filters want it, and what cannot be one is the client's fault,
// not the disk's.
func TestGraphValues(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := remembering(t, engine.RoomConfig{})
		c := enter(t, Config{Room: room, Codec: codec, Counters: new(Counters)})
		c.say(`{"op":"put","id":1,"node":"a","data":{"at" : {"lat" : 1}}}`)
		c.node()
		e, err := room.Memory().Get("a")
		if err != nil || string(e.Value) != `{"at":{"lat":1}}` {
			t.Errorf("%s, %v", e.Value, err)
		}
		for _, op := range []string{"put", "patch"} {
			c.say(`{"op":"%s","id":2,"node":"a","data":%s1%s}`, op, strings.Repeat(`{"a":`, 65), strings.Repeat("}", 65))
			c.refusal(2, CodeBadData)
		}
	})
}

func TestGraphRefusesForLong(t *testing.T) {
	c := enter(t, Config{Room: remembering(t, engine.RoomConfig{})})
	for i := range 2 * maxFaults {
		c.say(`{"op":"get","id":%d,"node":"a"}`, i)
		c.refusal(i, CodeNoNode)
	}
}

func TestGraphByRule(t *testing.T) {
	room := remembering(t, engine.RoomConfig{Rules: []engine.Rule{
		{Channel: engine.ChannelGraph, Rate: engine.Rate{Messages: 2, Per: time.Hour}},
	}})
	c := enter(t, Config{Room: room})
	for id := range 2 {
		c.say(`{"op":"put","id":%d,"node":"a","data":1}`, id)
		c.node()
	}
	c.say(`{"op":"remove","id":2,"node":"a"}`)
	c.refusal(2, CodeRule)
	other := enter(t, Config{Room: room})
	other.say(`{"op":"remove","id":3,"node":"a"}`)
	other.node()
}

func TestGraphOfWhom(t *testing.T) {
	room := remembering(t, engine.RoomConfig{})
	as := func(room *engine.Room, g Grant) *client {
		return enter(t, Config{Room: room, Admit: func(string, string) (Grant, *Error) { return g, nil }})
	}
	for name, c := range map[string]struct {
		grant       Grant
		read, write Code
	}{
		"with credentials": {grant: Grant{User: "ada"}},
		"without":          {grant: Grant{Anonymous: true}, write: CodeForbidden},
		"for a channel":    {grant: Grant{Publish: []string{"chat"}, Subscribe: []string{"chat"}}, read: CodeForbidden, write: CodeForbidden},
		"to read":          {grant: Grant{Publish: []string{}}, write: CodeForbidden},
		"for the graph":    {grant: Grant{Publish: []string{"sync*"}, Subscribe: []string{"syncGraph"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := as(room, c.grant)
			expect := func(id int, code Code) {
				t.Helper()
				if code != "" {
					s.refusal(id, code)
					return
				}
				s.node()
			}
			s.say(`{"op":"put","id":1,"node":"a","data":1}`)
			expect(1, c.write)
			if room.Memory().Head() > 0 {
				s.say(`{"op":"watch","id":2,"after":0}`)
				expect(2, c.read)
			}
		})
	}
	room.SetAnonymousWrite(true)
	s := as(room, Grant{Anonymous: true})
	s.say(`{"op":"put","id":1,"node":"a","data":1}`)
	s.node()

	s = enter(t, Config{Room: lone(t)})
	for _, op := range []string{`"put","data":1`, `"get"`, `"watch"`, `"unwatch"`} {
		s.say(`{"id":3,"node":"a","op":%s}`, op)
		s.refusal(3, CodeNoGraph)
	}
}

// TestGraphInOrder has writes of one node follow each other closely.
func TestGraphInOrder(t *testing.T) {
	room := remembering(t, engine.RoomConfig{})
	c := enter(t, Config{Room: room, Codec: MessagePack})
	const writes = 500
	go func() {
		for id := 1; id <= writes; id++ {
			c.say(`{"op":"put","id":%d,"node":"n%d","data":%d}`, id, id%3, id)
		}
	}()
	last := map[string]float64{}
	for id := 1; id <= writes; id++ {
		m := c.hear("node")
		if int(m["id"].(float64)) != id || m["seq"].(float64) <= last["seq"] {
			t.Fatalf("got %s after %v", toJSON(t, m), last)
		}
		last["seq"], last[m["node"].(string)] = m["seq"].(float64), float64(id)
	}
	for n := range 3 {
		e, err := room.Memory().Get(fmt.Sprintf("n%d", n))
		if want := fmt.Sprint(last[e.ID]); err != nil || string(e.Value) != want {
			t.Errorf("%s is %s, want %s; %v", e.ID, e.Value, want, err)
		}
	}
}

func TestWatch(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := remembering(t, engine.RoomConfig{})
		writer, c := enter(t, Config{Room: room}), enter(t, Config{Room: room, Codec: codec})
		write := func(message string) {
			t.Helper()
			writer.say(`{"id":1,%s}`, message)
			writer.node()
		}
		c.say(`{"op":"watch","id":1}`)
		c.expect(`{"op":"watch","id":1}`)
		for _, id := range []string{"s-1", "s-2", "other", "s-3"} {
			write(`"op":"put","data":1,"node":"` + id + `"`)
			c.wantNode(`{"id":1,"node":"` + id + `","data":1,"edges":[]}`)
		}
		c.say(`{"op":"unwatch","id":1}`)
		write(`"op":"remove","node":"s-2"`)
		write(`"op":"put","data":2,"node":"s-1"`)

		c.say(`{"op":"watch","id":2,"prefix":"s-","after":0}`)
		for { // the removal may have been on its way to the first watch
			m := c.hear("node")
			if m["id"] == 2.0 {
				if m["node"] != "s-3" {
					t.Errorf("got %s", toJSON(t, m))
				}
				break
			}
		}
		c.wantNode(`{"id":2,"node":"s-1","data":2,"edges":[]}`)
		after := c.hear("watch")["seq"].(float64)
		if after != float64(room.Memory().Head()) {
			t.Errorf("up to date with %v of %d", after, room.Memory().Head())
		}
		write(`"op":"link","node":"s-1","target":"s-3"`)
		c.wantNode(`{"id":2,"node":"s-1","data":2,"edges":["s-3"]}`)
		write(`"op":"remove","node":"s-3"`)
		c.wantNode(`{"id":2,"node":"s-3","removed":true}`)

		// Another connection goes on.
		d := enter(t, Config{Room: room, Codec: codec})
		d.say(`{"op":"watch","id":3,"after":%.0f}`, after)
		d.wantNode(`{"id":3,"node":"s-1","data":2,"edges":[]}`)
		d.wantNode(`{"id":3,"node":"s-3","removed":true}`)
		d.hear("watch")

		for id := 4; id < 3+maxWatches; id++ {
			d.say(`{"op":"watch","id":%d}`, id)
			d.hear("watch")
		}
		d.say(`{"op":"watch","id":100}`)
		d.refusal(100, CodeTooMany)
		d.say(`{"op":"watch","id":3}`)
		d.refusal(3, CodeBadMessage)
		d.say(`{"op":"unwatch","id":3}`)
		d.say(`{"op":"watch","id":100,"after":9007199254740991}`) // of another graph
		d.wantNode(`{"id":100,"node":"other","data":1,"edges":[]}`)
	})
}

// TestWatchOfSlow has a client read nothing while much changes: its other messages
// still come, and of each node the last.
func TestWatchOfSlow(t *testing.T) {
	room := remembering(t, engine.RoomConfig{})
	c := enter(t, Config{Room: room})
	writer := enter(t, Config{Room: room, Codec: MessagePack})
	for id := range 3 {
		c.say(`{"op":"watch","id":%d}`, id)
		c.hear("watch")
	}
	const writes, nodes = 600, 200
	go func() {
		for n := range writes {
			writer.say(`{"op":"put","id":%d,"node":"n%d","data":%d}`, n, n%nodes, n)
		}
	}()
	for range writes {
		writer.hear("node")
	}
	c.say(`{"op":"ping","id":77}`)
	latest := map[string][]float64{}
	ponged, told := -1, 0
	for ; told < 3*nodes || ponged < 0 || slices.ContainsFunc(slices.Collect(maps.Values(latest)), func(v []float64) bool {
		return slices.Min(v) < writes-nodes
	}); told++ {
		m := c.next()
		if m["op"] == "pong" {
			ponged = told
			continue
		}
		if m["op"] != "node" {
			continue
		}
		id := m["node"].(string)
		if latest[id] == nil {
			latest[id] = make([]float64, 3)
		}
		latest[id][int(m["id"].(float64))] = m["data"].(float64)
	}
	if ponged > 300 {
		t.Errorf("the pong came behind %d nodes", ponged)
	}
	t.Logf("%d nodes were told of %d writes to 3 watches; the pong came behind %d", told, writes, ponged)
}

// TestWatchAfterKill: what was answered is there after kill -9, and a watch goes on
// from the seq that it had.
func TestWatchAfterKill(t *testing.T) {
	dir := t.TempDir()
	c := enter(t, Config{Room: rememberingIn(t, dir, engine.RoomConfig{})})
	for id := range 10 {
		c.say(`{"op":"put","id":%d,"node":"n%d","data":%d}`, id, id, id)
		c.node()
	}
	c.say(`{"op":"watch","id":10}`)
	after := c.hear("watch")["seq"].(float64)
	c.say(`{"op":"remove","id":11,"node":"n3"}`)
	c.node()
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}

	c = enter(t, Config{Room: rememberingIn(t, killed, engine.RoomConfig{})})
	c.say(`{"op":"watch","id":1,"after":%.0f}`, after)
	c.wantNode(`{"id":1,"node":"n3","removed":true}`)
	c.hear("watch")
	c.say(`{"op":"put","id":2,"node":"n3","data":"again"}`)
	for range 2 { // the answer and the watch's
		if m := c.hear("node"); m["data"] != "again" || m["seq"].(float64) <= after {
			t.Errorf("got %s", toJSON(t, m))
		}
	}
}
