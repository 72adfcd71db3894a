package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Whatever pages and seats do, when peace has lasted for a while every page and
// every seat are linked and hear each other, and seats were told of joins and
// leaves in turn.
func TestAnyHistoryEndsInAFullMesh(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			what string
			who  int
			wait time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				what: rapid.SampledFrom([]string{"open", "open", "reload", "crash", "cut", "evict", "join", "leave", "wait"}).Draw(rt, "what"),
				who:  rapid.IntRange(0, 5).Draw(rt, "who"),
				wait: time.Duration(rapid.IntRange(0, 25_000).Draw(rt, "wait ms")) * time.Millisecond,
			}
		}), 1, 15).Draw(rt, "steps")

		var failed string
		bubble(t, func(t *testing.T, net *memnet.Network) {
			net.Delay = 20 * time.Millisecond
			_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
			var pages []*page
			var seats []*client
			loads := 0
			open := func(id string) *page {
				loads++
				return openPage(t, net, fmt.Sprint("load ", loads), id, "demo", "")
			}
			for _, s := range steps {
				switch s.what {
				case "open":
					pages = append(pages, open(fmt.Sprintf("page%d", loads)))
				case "join":
					seats = append(seats, join(t, room, engine.SeatConfig{}))
				case "leave":
					if len(seats) > 0 {
						i := s.who % len(seats)
						seats[i].Leave()
						seats = slices.Delete(seats, i, i+1)
					}
				case "wait":
				default:
					if len(pages) == 0 {
						break
					}
					i := s.who % len(pages)
					p := pages[i]
					switch s.what {
					case "reload":
						p.leave()
						pages[i] = open(p.id)
					case "crash":
						p.crash()
						pages = slices.Delete(pages, i, i+1)
					case "cut":
						p.endpoint.Cut()
					case "evict":
						p.mu.Lock()
						for _, l := range p.links {
							p.drop(l)
						}
						p.mu.Unlock()
					}
				}
				settle(s.wait)
			}
			seats = append(seats, join(t, room, engine.SeatConfig{}))
			settle(4 * time.Minute)

			for _, s := range seats {
				if got, want := len(s.peers()), len(pages)+len(seats); got != want {
					failed = fmt.Sprintf("a seat has %d peers, want %d", got, want)
				}
				for _, p := range pages {
					if !p.linked(s.ID()) {
						failed = fmt.Sprintf("page %s is not linked with a seat", p.id)
					}
				}
				s.send("last", text("word"))
			}
			for _, p := range pages {
				p.send("last", text("word"))
			}
			settle(time.Second)
			for _, p := range pages {
				n := 0
				for _, m := range p.messages() {
					if m.channel == "last" && slices.ContainsFunc(seats, func(s *client) bool { return s.ID() == m.from }) {
						n++
					}
				}
				if n != len(seats) {
					failed = fmt.Sprintf("page %s heard %d of %d seats", p.id, n, len(seats))
				}
			}
			for _, s := range seats {
				if got, want := len(of[*engine.Message](s)), len(pages)+len(seats)-1; got != want {
					failed = fmt.Sprintf("a seat heard %d of %d", got, want)
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
