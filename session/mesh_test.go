package session

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// The remote peers of these tests are the sessions of another process, which
// see ours as ours see browsers: over links.

// meshed returns a session in each of two processes, linked with each other.
func meshed(t *testing.T, near, far Codec) (a, b *client) {
	net := memnet.New()
	a = enter(t, Config{Room: open(t, process(t, net.Endpoint("near"), engine.Limits{}), engine.RoomConfig{}), Codec: near})
	b = enter(t, Config{Room: open(t, process(t, net.Endpoint("far"), engine.Limits{}), engine.RoomConfig{}), Codec: far})
	a.peer("join", b.id)
	b.peer("join", a.id)
	return a, b
}

func TestMesh(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		synctest.Test(t, func(t *testing.T) {
			a, b := meshed(t, codec, JSON)
			a.say(`{"op":"send","seq":1,"channel":"chat","data":{"text":"hi"}}`)
			a.expect(`{"op":"ack","seq":1}`)
			if m := b.hear("message"); m["from"] != a.id || toJSON(t, m["data"]) != `{"text":"hi"}` {
				t.Errorf("got %v", m)
			}
			b.say(`{"op":"send","seq":1,"channel":"chat","data":"back","to":%q}`, a.id)
			b.expect(`{"op":"ack","seq":1}`)
			if m := a.hear("message"); m["from"] != b.id || m["data"] != "back" {
				t.Errorf("got %v", m)
			}
			a.say(`{"op":"ping","id":1,"peer":%q}`, b.id)
			a.expect(`{"op":"pong","id":1,"peer":%q}`, b.id)
			// meta goes to the mesh beside bytes only.
			a.say(`{"op":"send","seq":2,"channel":"chat","data":"text","meta":1}`)
			a.expect(`{"op":"ack","seq":2}`)
			if m := b.hear("message"); m["data"] != "text" || m["meta"] != nil {
				t.Errorf("got %v", m)
			}
		})
	})
}

func TestProgress(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		synctest.Test(t, func(t *testing.T) {
			a, b := meshed(t, codec, codec)
			a.say(`{"op":"send","seq":7,"channel":"file","data":{"$bin":"%s"},"meta":{"name":"a.png"},"progress":true,"to":%q}`,
				strings.Repeat("AAAA", 50_000), b.id)
			acked := false
			for last := 0.0; last < 1; {
				switch m := a.next(); m["op"] {
				case "ack":
					acked = true
				case "progress":
					f := m["fraction"].(float64)
					if m["seq"] != 7.0 || m["peer"] != b.id || m["channel"] != nil || f < last || f > 1 {
						t.Fatalf("got %v after %v", m, last)
					}
					last = f
				default:
					if m["op"] != "peer" {
						t.Fatalf("got %v", m)
					}
				}
			}
			if !acked {
				a.expect(`{"op":"ack","seq":7}`)
			}
			for last, n := 0.0, 0; ; {
				m := b.next()
				if m["op"] == "message" {
					if n < 5 || last != 1 {
						t.Errorf("%d progress messages up to %v", n, last)
					}
					break
				}
				if m["op"] != "progress" {
					continue
				}
				n++
				f := m["fraction"].(float64)
				if m["seq"] != nil || m["channel"] != "file" || m["peer"] != a.id || toJSON(t, m["meta"]) != `{"name":"a.png"}` || f < last {
					t.Fatalf("got %v after %v", m, last)
				}
				last = f
			}
		})
	})
}

func TestTooLargeForTheMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		room := open(t, process(t, net.Endpoint("near"), engine.Limits{}), engine.RoomConfig{})
		a, near := enter(t, Config{Room: room}), enter(t, Config{Room: room, Codec: MessagePack})
		b := enter(t, Config{Room: open(t, process(t, net.Endpoint("far"), engine.Limits{}), engine.RoomConfig{})})
		a.peer("join", b.id)
		a.say(`{"op":"send","seq":1,"channel":"file","data":{"$bin":"%s"},"to":[%q,%q]}`,
			strings.Repeat("AAAA", 1_636_900/3+1), b.id, near.id)
		for n := 0; n < 2; {
			switch m := a.next(); m["op"] {
			case "ack":
				n++
			case "result":
				n++
				if m["seq"] != 1.0 || m["error"] != "too_large" || m["peer"] != b.id || m["message"] == "" {
					t.Errorf("got %v", m)
				}
			}
		}
		near.hear("message") // of the same room, it is unaffected
	})
}

func TestPeerEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		a := enter(t, Config{Room: open(t, process(t, net.Endpoint("near"), engine.Limits{}), engine.RoomConfig{})})
		far := net.Endpoint("far")
		node := process(t, far, engine.Limits{})
		open(t, node, engine.RoomConfig{})
		seen, joined := map[any]any{}, map[any]any{}
		for len(seen) == 0 || len(joined) == 0 {
			m := a.hear("peer")
			if m["event"] == "seen" {
				seen[m["peer"]] = m["type"]
			} else if m["event"] == "join" {
				joined[m["peer"]] = m["type"]
			}
		}
		for id := range joined {
			if joined[id] != "superpeer" || seen[id] != "superpeer" {
				t.Errorf("joined %v, seen %v", joined, seen)
			}
			if err := node.Close(context.Background()); err != nil {
				t.Error(err)
			}
			events := map[any]bool{}
			for !events["leave"] || !events["lost"] {
				if m := a.hear("peer"); m["peer"] == id {
					events[m["event"]] = true
				}
			}
		}
	})
}

// TestSlowAndGone: a link carries nothing, and then its peer leaves.
func TestSlowAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		near, far := net.Endpoint("near"), net.Endpoint("far")
		room := open(t, process(t, near, engine.Limits{LinkPending: 100_000}), engine.RoomConfig{})
		a, other := enter(t, Config{Room: room}), enter(t, Config{Room: room})
		theirs := open(t, process(t, far, engine.Limits{}), engine.RoomConfig{})
		b := enter(t, Config{Room: theirs})
		a.peer("join", b.id)
		near.Freeze(true)
		bytes := strings.Repeat("AAAA", 200_000) // more than a link takes at once
		results := func(seq int, reason string) {
			t.Helper()
			for told, acked := false, false; !told || !acked; {
				switch m := a.next(); m["op"] {
				case "ack":
					acked = m["seq"] == float64(seq)
				case "result":
					told = true
					if m["seq"] != float64(seq) || m["peer"] != b.id || m["error"] != reason {
						t.Fatalf("got %v", m)
					}
				}
			}
		}
		a.say(`{"op":"send","seq":1,"channel":"c","data":{"$bin":"%s"},"to":[%q,%q]}`, bytes, b.id, other.id)
		a.say(`{"op":"send","seq":2,"channel":"c","data":{"$bin":"%s"},"to":[%q,%q]}`, bytes, b.id, other.id)
		results(2, "slow")
		a.say(`{"op":"ping","id":1,"peer":%q}`, b.id)
		synctest.Wait()
		if err := theirs.Close(t.Context()); err != nil {
			t.Error(err)
		}
		a.say(`{"op":"send","seq":3,"channel":"c","data":1,"to":[]}`)
		for got := map[string]bool{}; len(got) < 3; {
			switch m := a.next(); m["op"] {
			case "result":
				if m["seq"] != 1.0 || m["error"] != "gone" {
					t.Errorf("got %v", m)
				}
				got["result"] = true
			case "pong":
				if m["id"] != 1.0 || m["error"] != "gone" {
					t.Errorf("got %v", m)
				}
				got["pong"] = true
			case "ack":
				got["ack"] = true
			}
		}
		other.hear("message")
		other.hear("message")
	})
}
