package session

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// A roster of any size comes in pieces that every transport takes.
func TestRosterMessages(t *testing.T) {
	type peer struct {
		Peer     string   `json:"peer"`
		Cell     string   `json:"cellId"`
		IsBridge bool     `json:"isBridge"`
		Bridges  []string `json:"bridges"`
	}
	for _, n := range []int{0, 1, 300, 10_000} {
		var peers []engine.MeshPeer
		var want, got []peer
		for i := range n {
			p := engine.MeshPeer{ID: fmt.Sprintf("%020d", i), Cell: i / 10, Bridge: i%10 == 0}
			listed := peer{p.ID, fmt.Sprintf("cell-%d", p.Cell), p.Bridge, []string{}}
			if p.Bridge {
				for k := range 20 {
					p.Bridges = append(p.Bridges, fmt.Sprintf("cell-%d", i/10+k))
				}
				listed.Bridges = p.Bridges
			}
			peers, want = append(peers, p), append(want, listed)
		}
		messages := slices.Collect(rosterMessages(7, peers))
		for i, m := range messages {
			raw := JSON.Encode(&m)
			var sent struct {
				Op     string
				ID     int
				Roster []peer
				More   bool
			}
			if err := json.Unmarshal(raw, &sent); err != nil {
				t.Fatal(err)
			}
			if last := i == len(messages)-1; sent.Op != "mesh" || sent.ID != 7 || sent.Roster == nil || sent.More == last {
				t.Errorf("%d peers: message %d of %d is %.80s…", n, i+1, len(messages), raw)
			}
			if len(raw) > 48<<10 {
				t.Errorf("%d peers: message %d has %d bytes", n, i+1, len(raw))
			}
			got = append(got, sent.Roster...)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d peers: %d came", n, len(got))
		}
	}
}

// A room without cells says nothing of its own accord, and has a roster of nobody.
func TestNoCells(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		c := enter(t, Config{Room: lone(t), Codec: codec})
		c.say(`{"op":"mesh","id":0}`)
		c.expect(`{"op":"mesh","id":0,"roster":[]}`)
		c.sayRaw(codec.Encode(&Message{Op: OpPing}))
		c.expect(`{"op":"pong","id":0}`)
	})
}

// The channel of the mesh is one like others, and has messages and transfers between
// sessions whatever the room's cells.
func TestMeshChannel(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := lone(t)
		a, b := enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room})
		a.say(`{"op":"send","seq":1,"channel":"@_mesh","data":{"$bin":"AAEC"},"meta":{"name":"a"}}`)
		a.expect(`{"op":"ack","seq":1}`)
		if m := b.hear("message"); m["channel"] != "@_mesh" || m["from"] != a.id || toJSON(t, m["data"]) != `{"$bin":"AAEC"}` || toJSON(t, m["meta"]) != `{"name":"a"}` {
			t.Errorf("got %v", m)
		}
		a.say(`{"op":"begin","transfer":1,"channel":"@_mesh","size":1,"kind":"bytes"}`)
		if m := b.hear("begin"); m["channel"] != "@_mesh" {
			t.Errorf("got %v", m)
		}
	})
}

// The place is told after each seal, after the welcome where there is one already, and
// when it is gone.
func TestPlaceIsTold(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		synctest.Test(t, func(t *testing.T) {
			room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{Cells: engine.CellsOn, CellSize: 5})
			cfg := Config{Room: room, Codec: codec}
			a, token := secret(t, cfg)
			place := func(c *client, epoch, peers int) {
				t.Helper()
				c.expect(`{"op":"mesh","epoch":%d,"peer":%q,"cellId":"cell-0","isBridge":false,"bridges":[],"cellSize":5,"totalCells":1,"knownCells":1,"totalPeers":%d,"dynamicTTL":5}`,
					epoch, c.id, peers)
			}
			place(a, 1, 2)
			b := enter(t, cfg)
			if m := b.hear("mesh"); m["epoch"] != 2.0 || m["peer"] != b.id {
				t.Errorf("got %v", m)
			}
			place(a, 2, 3)
			a.cut()
			a, _ = resume(t, cfg, token, 0)
			place(a, 2, 3)
			b.say(`{"op":"mesh","id":1}`)
			if m := b.hear("mesh"); len(m["roster"].([]any)) != 3 {
				t.Errorf("got %v", m)
			}
			room.SetCells(engine.CellsOff, 0)
			a.expect(`{"op":"mesh","epoch":0,"peer":%q}`, a.id)
			b.expect(`{"op":"mesh","epoch":0,"peer":%q}`, b.id)
		})
	})
}
