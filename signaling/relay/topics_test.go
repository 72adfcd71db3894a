package relay

import (
	"fmt"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

func TestSelfTopicsBelongToTheConnectionThatAnnouncedThem(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		a, b, c := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2"), connect(t, r, "192.0.2.3")
		// A browser subscribes before it announces itself.
		self := signaling.SelfTopic(engine.AppRoom("demo"), "B")
		b.send(req("self", self))
		b.expect(`["EOSE","self"]`)

		early := offer(t, "A", "B")
		a.send(early)
		a.expect(okText(early, false, "blocked: "))

		b.send(announcement(t, "B"))
		b.expect(`["OK"`)
		// What was refused is not remembered.
		a.send(early)
		a.expect(okText(early, true, `"`))
		b.expect(eventText("self", early))

		// A never announced itself, but its offer made it known.
		answer := offer(t, "B", "A")
		b.send(answer)
		b.expect(okText(answer, true, `"`))

		// Peers of one room are not known in the other.
		other := signed(t, signaling.SelfTopic(engine.SyncRoom("demo"), "B"), `{"peerId":"A"}`)
		a.send(other)
		a.expect(okText(other, false, "blocked: "))

		// A second connection that speaks for B, as after a reconnect.
		c.send(signed(t, demoRoot, `{"peerId":"B","again":1}`))
		c.expect(`["OK"`)
		b.leave()
		second := signed(t, self, `{"peerId":"A","offer":2}`)
		a.send(second)
		a.expect(okText(second, true, `"`))
		c.leave()
		third := signed(t, self, `{"peerId":"A","offer":3}`)
		a.send(third)
		a.expect(okText(third, false, "blocked: "))
	})
}

func TestByeEndsASelfTopic(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		b.send(announcement(t, "B"), signed(t, demoRoot, `{"peerId":"B","bye":1}`))
		b.expect(`["OK"`, `["OK"`)
		late := offer(t, "A", "B")
		a.send(late)
		a.expect(okText(late, false, "blocked: "))
	})
}

func TestPeersOfAConnectionAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{Peers: 2}}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		b.send(announcement(t, "one"), announcement(t, "two"))
		b.send(signed(t, demoRoot, `{"peerId":"one","again":1}`), announcement(t, "three"))
		b.expect(`["OK"`, `["OK"`, `["OK"`, `["OK"`)
		for peer, carried := range map[string]bool{"one": true, "two": false, "three": true} {
			ev := offer(t, "A", peer)
			a.send(ev)
			a.expect(okText(ev, carried, ""))
		}
	})
}

func TestPeersOfAnAddressAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{ValuesPerAddress: 3}}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.1")
		a.send(announcement(t, "one"), announcement(t, "two"))
		a.expect(`["OK"`, `["OK"`)
		b.send(announcement(t, "three"), announcement(t, "four"))
		b.expect(`["OK"`, `["OK"`)
		if r.Stats().Events.Accepted != 4 || len(r.topics.selfs) != 3 {
			t.Errorf("%d self topics, %+v", len(r.topics.selfs), r.Stats())
		}
		a.leave()
		b.send(signed(t, demoRoot, `{"peerId":"four","again":1}`))
		b.expect(`["OK"`)
		if len(r.topics.selfs) != 2 {
			t.Errorf("%d self topics, want those of three and four", len(r.topics.selfs))
		}
	})
}

func TestSetRooms(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		send := func(room, text string, carried bool) {
			t.Helper()
			ev := signed(t, signaling.RootTopic(room), text)
			c.send(ev)
			c.expect(okText(ev, carried, ""))
		}
		send(engine.AppRoom("demo"), `{"peerId":"P"}`, true)
		send(engine.SyncRoom("demo"), `{"peerId":"P"}`, true)
		send(engine.AppRoom("new"), `{"peerId":"P"}`, false)

		r.SetRooms([]string{"new", "other"})
		send(engine.AppRoom("new"), `{"peerId":"P"}`, true)
		send(engine.SyncRoom("other"), `{"peerId":"P"}`, true)
		send(engine.AppRoom("demo"), `{"peerId":"P","n":2}`, false)
		gone := offer(t, "Q", "P")
		c.send(gone)
		c.expect(okText(gone, false, "blocked: "))

		r.SetRooms(nil)
		send(engine.AppRoom("new"), `{"peerId":"P","n":3}`, false)
	})
}

func TestOpenRelayCarriesAll(t *testing.T) {
	bubble(t, Config{Open: true}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		for i, topic := range []string{"anything", demoRoot, ""} {
			ev := signed(t, topic, fmt.Sprint(i))
			c.send(ev)
			c.expect(okText(ev, true, `"]`))
		}
	})
}

func TestReadSignal(t *testing.T) {
	for _, tt := range []struct {
		content string
		want    signal
	}{
		{`{"peerId":"P"}`, signal{peer: "P"}},
		{`{"type":"superpeer","peerId":"P"}`, signal{peer: "P"}},
		{`{"peerId":"P","bye":1}`, signal{peer: "P", bye: true}},
		{`{"peerId":"P","offer":{"type":"offer","sdp":"a}{\"x"},"peer":{"a":[{}]}}`, signal{peer: "P", description: true}},
		{`{"peerId":"P","answer":{}}`, signal{peer: "P", description: true}},
		{`{"peer\u0049d":"P"}`, signal{peer: "P"}},
		{`{"peerid":"P"}`, signal{}},
		{`{"peerId":7}`, signal{}},
		{`{"peerId":"P"} x`, signal{}},
		{`{"peerId":"P"`, signal{}},
		{`{"peerId":"` + string(make([]byte, 65)) + `"}`, signal{}},
		{`"str"`, signal{}}, {`null`, signal{}}, {`[]`, signal{}}, {``, signal{}}, {`{}`, signal{}}, {`{"hello":1}`, signal{}},
	} {
		if got := readSignal(tt.content); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.content, got, tt.want)
		}
	}
}
