package engine_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Whatever happens to links and pages: a message for one peer arrives or is
// reported, on ordinary channels at most once, and on redeliver channels first
// in the order in which it was sent.
func TestAnyHistoryLosesNothingSilently(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			what    string
			page    int
			seat    int
			channel string
			size    int
			wait    time.Duration // negative: the next step races with this one
		}
		draw := rapid.Custom(func(rt *rapid.T) step {
			s := step{
				what: rapid.SampledFrom([]string{
					"send", "send", "send", "send", "send", "send", "to all", "to all", "cut", "cut", "freeze", "thaw", "reload", "crash", "return", "evict", "wait",
				}).Draw(rt, "what"),
				page:    rapid.IntRange(0, 1).Draw(rt, "page"),
				seat:    rapid.IntRange(0, 2).Draw(rt, "seat"),
				channel: rapid.SampledFrom([]string{"once", "again"}).Draw(rt, "channel"),
				size:    8,
			}
			if rapid.IntRange(0, 3).Draw(rt, "large") == 0 {
				s.size = rapid.IntRange(8, 500_000).Draw(rt, "size")
			}
			switch rapid.IntRange(0, 5).Draw(rt, "pause") {
			case 0:
				s.wait = time.Duration(rapid.IntRange(0, 50_000).Draw(rt, "wait ms")) * time.Millisecond
			case 1:
				s.wait = -1
			case 2, 3:
				s.wait = time.Duration(rapid.IntRange(0, 100).Draw(rt, "wait ms")) * time.Millisecond
			}
			return s
		})
		steps := rapid.SliceOfN(draw, 1, 60).Draw(rt, "steps")
		delay := time.Duration(rapid.IntRange(0, 200).Draw(rt, "delay ms")) * time.Millisecond
		// A transport acknowledges what is beyond a gap too, which a receiver has
		// not got.
		lossy := rapid.Bool().Draw(rt, "lossy")
		// A page that evicts a link reads it and does not listen. Then only
		// redeliver channels lose nothing.
		evictions := rapid.Bool().Draw(rt, "evictions")
		pending := rapid.SampledFrom([]int{0, 0, 100_000, 20_000}).Draw(rt, "pending")

		var failed string
		bubble(t, func(t *testing.T, net *memnet.Network) {
			net.Delay = delay
			if lossy {
				net.Delay, net.Path, net.Seed = 0, &memnet.Path{RTT: delay, Loss: 0.2}, 1
			}
			server := net.Endpoint("server")
			_, room := serveAt(t, server, engine.RoomConfig{Redeliver: []string{"again"}}, engine.Limits{LinkPending: pending})
			loads := 0
			var all []*page // every load
			open := func(i int) *page {
				loads++
				p := openPage(t, net, fmt.Sprint("load ", loads), fmt.Sprint("page", i), "demo", "")
				all = append(all, p)
				return p
			}
			pages := []*page{open(0), open(1)}
			seats := []*client{
				join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{}),
				join(t, room, engine.SeatConfig{Identity: engine.IdentityServer}),
			}
			settle(3 * time.Second)

			type sent struct {
				seat     *client
				ref      uint64
				channel  string
				to       string // "" means all
				reported map[string]int
				arrived  map[string]int
			}
			var sends []*sent
			for _, s := range steps {
				p := pages[s.page]
				switch s.what {
				case "send", "to all":
					m := &sent{seats[s.seat], uint64(len(sends)), s.channel, "", map[string]int{}, map[string]int{}}
					var to []string
					if s.what == "send" {
						m.to = p.id
						to = []string{p.id}
					}
					sends = append(sends, m)
					data := binary.BigEndian.AppendUint64(nil, m.ref)
					data = append(data, make([]byte, s.size-8)...)
					if err := m.seat.Send(t.Context(), engine.Outgoing{
						Ref: m.ref, Channel: s.channel, Content: engine.Content{Kind: engine.Binary, Data: data}, To: to,
					}); err != nil {
						t.Errorf("send: %v", err)
					}
				case "cut":
					p.endpoint.Cut()
				case "freeze", "thaw":
					server.Freeze(s.what == "freeze")
				case "reload":
					if !p.closed {
						p.leave()
					}
					pages[s.page] = open(s.page)
				case "crash":
					p.crash()
				case "evict":
					p.mu.Lock()
					for _, l := range p.links {
						if evictions {
							p.drop(l)
						}
					}
					p.mu.Unlock()
				case "return":
					if p.closed {
						pages[s.page] = open(s.page)
					}
				}
				if s.wait >= 0 {
					settle(s.wait)
				}
			}
			server.Freeze(false)
			settle(3 * time.Minute)

			for _, s := range seats {
				for _, e := range of[engine.Result](s) {
					sends[e.Ref].reported[e.Peer]++
				}
			}
			for i := range pages {
				id := fmt.Sprint("page", i)
				var last [2]map[string]uint64 // by sender, the highest first arrival
				last[0], last[1] = map[string]uint64{}, map[string]uint64{}
				for _, p := range all {
					if p.id != id {
						continue
					}
					for _, got := range p.messages() {
						ref := binary.BigEndian.Uint64(got.content.Data)
						m := sends[ref]
						m.arrived[id]++
						if m.arrived[id] > 1 {
							continue
						}
						order := last[slices.Index([]string{"once", "again"}, m.channel)]
						if got.channel != m.channel || (m.to != "" && m.to != id) || ref+1 <= order[m.seat.ID()] {
							failed = fmt.Sprintf("message %d arrived at %s on %s, after %d", ref, id, got.channel, order[m.seat.ID()]-1)
						}
						order[m.seat.ID()] = ref + 1
					}
				}
			}
			for _, m := range sends {
				for i := range pages {
					id := fmt.Sprint("page", i)
					arrived, reported := m.arrived[id], m.reported[id]
					what := fmt.Sprintf("message %d on %s to %q arrived %d times at %s and was reported %d times", m.ref, m.channel, m.to, arrived, id, reported)
					switch {
					case m.channel == "once" && arrived > 1, reported > 1:
						failed = what
					case m.to == id && arrived == 0 && reported == 0 && (m.channel == "again" || !evictions):
						failed = what
					}
				}
			}
			if failed == "" && t.Failed() {
				failed = "see above"
			}
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}
