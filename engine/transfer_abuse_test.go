package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// Whatever seats say of transfers: a transfer of others goes on beside it, no
// more waits than may, and in the end nothing is left.
func TestAnyTransferSteps(t *testing.T) {
	type move struct {
		who, other int
		what       string
		id, at, n  int
		hash       bool
	}
	moves := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) move {
		return move{
			who:   rapid.IntRange(0, 3).Draw(rt, "who"),
			other: rapid.IntRange(-1, 4).Draw(rt, "other"),
			what: rapid.SampledFrom([]string{"begin", "begin", "answer", "answer", "answer", "chunk", "chunk", "chunk",
				"ack", "end", "finish", "cancel", "refuse", "detach", "resume", "leave", "wait"}).Draw(rt, "what"),
			id:   rapid.IntRange(1, 3).Draw(rt, "id"),
			at:   rapid.IntRange(0, 10).Draw(rt, "at"),
			n:    rapid.IntRange(0, 4).Draw(rt, "n"),
			hash: rapid.Bool().Draw(rt, "hash"),
		}
	}), 0, 200)
	rapid.Check(t, func(rt *rapid.T) {
		steps := moves.Draw(rt, "moves")
		failed := ""
		synctest.Test(t, func(t *testing.T) {
			e := memnet.New().Endpoint("server")
			n := engine.New(engine.Config{Signaling: e, Transport: e, Logger: slog.New(slog.DiscardHandler), Limits: engine.Limits{Window: 40}})
			defer n.Close(context.Background())
			room, err := n.Open(engine.RoomConfig{Name: "demo"})
			if err != nil {
				t.Fatal(err)
			}
			var seats []*client
			for range 4 {
				seats = append(seats, join(t, room, engine.SeatConfig{Resume: time.Hour}))
			}
			from, to := join(t, room, lasting), join(t, room, lasting)
			data := payload(200)
			from.must(begin(1, 200, to.ID()))
			to.must(&engine.TransferBegin{ID: 1, From: from.ID()})
			honest := 0

			id := func(i int) string {
				if i >= 0 && i < len(seats) {
					return seats[i].ID()
				}
				return "nobody"
			}
			for _, m := range steps {
				c := seats[m.who]
				at, key := uint64(m.at)*10, uint64(m.id)
				step := engine.TransferStep(nil)
				switch m.what {
				case "begin":
					b := &engine.TransferBegin{ID: key, Channel: "c", Kind: engine.Binary, Size: 80, Offset: at % 90}
					if m.other >= 0 {
						b.To = []string{id(m.other), id(m.other + 1), to.ID()}
					}
					step = b
				case "answer":
					step = &engine.TransferBegin{ID: key, From: id(m.other), Offset: at}
				case "chunk":
					step = &engine.TransferChunk{ID: key, Offset: at, Data: make([]byte, m.n*10)}
				case "ack":
					step = &engine.TransferAck{ID: key, From: id(m.other), Offset: at}
				case "end":
					e := &engine.TransferEnd{ID: key, Hash: strings.Repeat("0", 64)}
					if m.hash {
						e.Hash = fmt.Sprint(m.n)
					}
					step = e
				case "finish":
					step = &engine.TransferEnd{ID: key, From: id(m.other)}
				case "cancel":
					step = &engine.TransferCancel{ID: key, Reason: "no"}
				case "refuse":
					step = &engine.TransferCancel{ID: key, From: id(m.other), Reason: "no"}
				case "detach":
					c.Detach()
				case "resume":
					if a, peers, err := room.Resume(t.Context(), c.Token(), 0, engine.SeatConfig{Resume: time.Hour}); err == nil {
						seats[m.who] = attached(t, a, peers)
					}
				case "leave":
					if a, _, err := room.Resume(t.Context(), c.Token(), 0, lasting); err == nil {
						a.Leave()
					}
					seats[m.who] = join(t, room, engine.SeatConfig{Resume: time.Hour})
				case "wait":
					settle(time.Duration(m.n) * 10 * time.Second)
				}
				if step != nil {
					c.step(step) // it may be refused
				}
				synctest.Wait()
				if honest < len(data) && m.who == 0 {
					from.feed(1, data, honest, honest+20)
					honest += 20
					to.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: uint64(honest)})
				}
			}
			for ; honest < len(data); honest += 20 {
				from.feed(1, data, honest, honest+20)
				to.must(&engine.TransferAck{ID: 1, From: from.ID(), Offset: uint64(honest + 20)})
			}
			from.must(&engine.TransferEnd{ID: 1, Hash: hash(data)})
			to.must(&engine.TransferEnd{ID: 1, From: from.ID()})
			if _, n := latest[*engine.TransferEnd](from); n != 1 || !bytes.Equal(to.stored(from.ID(), 1), data) {
				failed = "the transfer beside it was disturbed"
			}
			for _, c := range append(seats, from, to) {
				if a, _, err := room.Resume(t.Context(), c.Token(), 0, lasting); err == nil {
					a.Leave()
				}
			}
			synctest.Wait()
			if s := room.Stats(); s.Seats != 0 || s.Transfers != 0 || s.TransferBytes != 0 {
				failed = fmt.Sprintf("what is left: %+v", s)
			}
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}
