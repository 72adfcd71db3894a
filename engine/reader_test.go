package engine_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// hearing is a reader whose events are collected.
type hearing struct {
	t *testing.T
	*engine.Reader
}

func read(t *testing.T, r *engine.Room, cfg engine.ReaderConfig) *hearing {
	t.Helper()
	reader, err := r.Read(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return &hearing{t, reader}
}

// events are all that wait.
func (h *hearing) events() (list []engine.Event) {
	h.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(h.t.Context(), time.Millisecond)
		events, err := h.Next(ctx, nil)
		cancel()
		list = append(list, events...)
		if errors.Is(err, context.DeadlineExceeded) {
			return list
		}
		if err != nil {
			h.t.Fatalf("read: %v", err)
		}
	}
}

func (h *hearing) messages() (list []*engine.Message) {
	h.t.Helper()
	for _, e := range h.events() {
		if m, ok := e.(*engine.Message); ok {
			list = append(list, m)
		}
	}
	return list
}

func words(list []*engine.Message) (words []string) {
	for _, m := range list {
		words = append(words, string(m.Content.Data))
	}
	return words
}

func publish(t *testing.T, r *engine.Room, channel, word string, to ...string) engine.Published {
	t.Helper()
	done, err := r.Publish(t.Context(), "tester", engine.Outgoing{Channel: channel, Content: text(word), To: to})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// A reader hears what is for all, from wherever it comes, once, and is not there for
// anybody else.
func TestReaderHearsAllOnce(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{HostedPerRoom: 1})
		reader := read(t, room, engine.ReaderConfig{})
		own := join(t, room, engine.SeatConfig{Resume: time.Minute})
		shared := join(t, room, engine.SeatConfig{}) // speaks through the server's peer
		page := openPage(t, net, "load", "AAAA", "demo", "")
		settle(3 * time.Second)
		server := serverID(own)
		changes := fmt.Sprint(reader.events())
		for _, id := range []string{own.ID(), shared.ID(), page.id} {
			if !strings.Contains(changes, id) {
				t.Errorf("the reader was not told of %s: %s", id, changes)
			}
		}
		if len(reader.Peers) != 1 || reader.Peers[0].ID != server || len(own.peers()) != 3 || len(page.peers()) != 2 {
			t.Errorf("peers of the reader %v, of a seat %v, of a page %v", reader.Peers, own.peers(), page.peers())
		}
		if all := room.Peers(); len(all) != 4 {
			t.Errorf("the server's peers are %v", all)
		}
		own.send("chat", text("a seat"))
		shared.send("chat", text("a seat without a peer"))
		own.send("chat", text("not for all"), shared.ID(), page.id, server)
		page.send("chat", text("a page"))
		page.send("chat", text("a page to the server"), server)
		page.send("chat", text("a page to a seat"), own.ID())
		settle(time.Second)
		publish(t, room, "chat", "the server")
		publish(t, room, "chat", "the server to one", own.ID())
		got := reader.messages()
		words := words(got)
		slices.Sort(words[:4])
		if want := []string{"a page", "a page to the server", "a seat", "a seat without a peer", "the server"}; !slices.Equal(words, want) {
			t.Errorf("the reader heard %q", words)
		}
		for i := 1; i < len(got); i++ {
			if got[i].Seq <= got[i-1].Seq {
				t.Errorf("offset %d after %d", got[i].Seq, got[i-1].Seq)
			}
		}
		settle(time.Second)
		if heard := fmt.Sprint(texts(page)); !strings.Contains(heard, "the server") || strings.Contains(heard, "to one") {
			t.Errorf("the page heard %s", heard)
		}
		var heard []string
		for _, m := range of[*engine.Message](own) {
			if m.From == server {
				heard = append(heard, string(m.Content.Data))
			}
		}
		if fmt.Sprint(heard) != "[the server the server to one]" {
			t.Errorf("a seat heard of the server %q", heard)
		}
	})
}

// Whatever is sent, and whenever the reader is lost and another goes on from what it
// had: of its channels it hears everything once, and in order.
func TestAnyReaderHearsEverythingOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			what, channel string
			n             int
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				rapid.SampledFrom([]string{"seat", "seat", "page", "post", "read", "again", "position", "join"}).Draw(rt, "what"),
				rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "channel"), rapid.IntRange(1, 30).Draw(rt, "n"),
			}
		}), 1, 30).Draw(rt, "steps")
		var failed string
		bubble(t, func(t *testing.T, net *memnet.Network) {
			_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
			page := openPage(t, net, "load", "AAAA", "demo", "")
			seat := join(t, room, engine.SeatConfig{})
			settle(3 * time.Second)
			cfg := engine.ReaderConfig{Channels: func(c string) bool { return c == "a" }}
			reader := read(t, room, cfg)
			cfg.Resume, cfg.After = true, reader.Position()
			var sent, heard []string
			take := func() {
				for _, m := range reader.messages() {
					heard = append(heard, string(m.Content.Data))
					cfg.After = m.Seq
				}
			}
			for i, s := range steps {
				for j := range s.n {
					word := fmt.Sprint(s.what, i, "-", j)
					switch s.what {
					case "seat":
						seat.send(s.channel, text(word))
					case "page":
						page.send(s.channel, text(word))
					case "post":
						publish(t, room, s.channel, word)
					default:
						continue
					}
					if s.channel == "a" {
						sent = append(sent, word)
					}
				}
				settle(100 * time.Millisecond)
				switch s.what {
				case "read":
					take()
				case "position":
					take()
					cfg.After = reader.Position()
				case "again":
					reader.Close()
					if s.n > 15 {
						settle(time.Minute)
					}
					if reader = read(t, room, cfg); reader.Missed != nil {
						failed = fmt.Sprintf("after %d: %v", cfg.After, reader.Missed)
					}
				case "join":
					seat.Leave()
					seat = join(t, room, engine.SeatConfig{Resume: time.Minute})
				}
			}
			take()
			if !slices.Equal(sent, heard) {
				failed = fmt.Sprintf("sent %q, heard %q", sent, heard)
			}
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}

func TestReaderIsToldWhatItMissed(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		first := read(t, room, engine.ReaderConfig{})
		for i := range 5 {
			publish(t, room, "chat", fmt.Sprint(i))
			publish(t, room, "other", fmt.Sprint(i))
		}
		if n := len(first.messages()); n != 10 {
			t.Errorf("%d messages", n)
		}
		recent := read(t, room, engine.ReaderConfig{History: 3, Channels: func(c string) bool { return c == "chat" }})
		if got := fmt.Sprint(words(recent.messages())); got != "[2 3 4]" {
			t.Errorf("history %s", got)
		}
		last := first.Position()
		unknown := read(t, room, engine.ReaderConfig{Resume: true, After: last + 1, History: 3})
		if !errors.Is(unknown.Missed, engine.ErrUnknownOffset) || unknown.Position() != last {
			t.Errorf("a later offset: %v, at %d", unknown.Missed, unknown.Position())
		}
		first.Close()
		recent.Close()
		unknown.Close()
		// Messages grow too old, then the journal goes, and a new one begins.
		for range 3 {
			settle(2 * time.Hour)
			again := read(t, room, engine.ReaderConfig{Resume: true, After: last - 3})
			if !errors.Is(again.Missed, engine.ErrOverflow) || len(again.messages()) > 4 {
				t.Errorf("after two hours: %v", again.Missed)
			}
			again.Close()
			if seq := publish(t, room, "chat", "new").Seq; seq <= last {
				t.Errorf("offset %d was given twice, the last was %d", seq, last)
			}
		}
	})
}

func TestSlowReaderIsCutOffAlone(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		slow := read(t, room, engine.ReaderConfig{Pending: 2_000})
		quick := read(t, room, engine.ReaderConfig{})
		slow.events()
		position := slow.Position()
		for i := range 100 {
			publish(t, room, "chat", fmt.Sprint(i))
		}
		if got := len(quick.messages()); got != 100 {
			t.Errorf("the quick reader heard %d", got)
		}
		if _, err := slow.Next(t.Context(), nil); !errors.Is(err, engine.ErrSlow) {
			t.Errorf("the slow reader: %v", err)
		}
		if got := n.Stats().SlowSeats; got != 1 {
			t.Errorf("%d counted", got)
		}
		again := read(t, room, engine.ReaderConfig{Resume: true, After: position, Pending: 2_000})
		if got := len(again.messages()); got != 100 || again.Missed != nil {
			t.Errorf("resumed, it heard %d, %v", got, again.Missed)
		}
	})
}

func TestReadersEnd(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{SeatsPerRoom: 2})
		closed, open := read(t, room, engine.ReaderConfig{}), read(t, room, engine.ReaderConfig{})
		if _, err := room.Read(t.Context(), engine.ReaderConfig{}); !errors.Is(err, engine.ErrRoomFull) {
			t.Errorf("a third reader: %v", err)
		}
		if _, _, err := room.Join(t.Context(), engine.SeatConfig{}); !errors.Is(err, engine.ErrRoomFull) {
			t.Errorf("a seat beside them: %v", err)
		}
		closed.Close()
		closed.Close()
		if _, err := closed.Next(t.Context(), nil); !errors.Is(err, engine.ErrLeft) {
			t.Errorf("a closed reader: %v", err)
		}
		read(t, room, engine.ReaderConfig{})
		if err := room.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := open.Next(t.Context(), nil); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after the room's end: %v", err)
		}
		if _, err := room.Read(t.Context(), engine.ReaderConfig{}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("a reader of a closed room: %v", err)
		}
		if _, err := room.Publish(t.Context(), "tester", engine.Outgoing{Channel: "c"}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("a message to a closed room: %v", err)
		}
		if room.Peers() != nil {
			t.Error("a closed room has peers")
		}
	})
}

func TestPublish(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		n, room := serve(t, net, "server", engine.RoomConfig{Durable: true}, engine.Limits{})
		page := openPage(t, net, "load", "AAAA", "demo", "")
		seat := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		server := serverID(seat)
		done := publish(t, room, "chat", "to some", page.id, page.id, seat.ID(), server, "nobody")
		if len(done.Results) != 1 || done.Results[0].Peer != "nobody" || !errors.Is(done.Results[0].Err, engine.ErrUnknownPeer) {
			t.Errorf("results %v", done.Results)
		}
		settle(time.Second)
		if got := fmt.Sprint(texts(page), words(of[*engine.Message](seat))); got != "[to some] [to some]" {
			t.Errorf("they got %s", got)
		}
		large := make([]byte, 4<<20)
		rand.Read(large)
		done, err := room.Publish(t.Context(), "tester", engine.Outgoing{Channel: "c", Content: engine.Content{Kind: engine.Binary, Data: large}})
		if err != nil || len(done.Results) != 1 || !errors.Is(done.Results[0].Err, engine.ErrTooLarge) {
			t.Errorf("a large one: %v, %v", done.Results, err)
		}
		for want, o := range map[error]engine.Outgoing{
			engine.ErrChannelName: {Channel: "@_ping"},
			engine.ErrTooMany:     {Channel: "c", To: make([]string, 1001)},
			engine.ErrTooLarge:    {Channel: "c", Content: engine.Content{Data: make([]byte, 16<<20)}},
		} {
			if _, err := room.Publish(t.Context(), "tester", o); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		// What is lost after it was taken is counted.
		settle(time.Second)
		lost := func() uint64 { return n.Stats().Dropped["result: nobody is there to be told"] }
		before := lost()
		page.endpoint.Cut()
		publish(t, room, "chat", "lost", page.id)
		page.crash()
		settle(2 * time.Minute)
		if before != 0 || lost() != 1 {
			t.Errorf("%d lost messages are counted, and %d before", lost(), before)
		}
	})
}

// What a reader asks for of the past is all that is read of it, if it is there.
func TestHistoryIsReadBackwards(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		read(t, room, engine.ReaderConfig{}) // has the room keep a journal
		const messages = 600
		for i := range messages {
			channel := "chat"
			if i%100 == 0 {
				channel = "rare"
			}
			publish(t, room, channel, fmt.Sprint(i))
		}
		for _, c := range []struct {
			channel    string // empty: any
			n, records int    // records that Read may look at
			want       []string
		}{
			{"", 1, 1, []string{"599"}},
			{"", 3, 3, []string{"597", "598", "599"}},
			{"rare", 2, 254, []string{"400", "500"}},
			{"rare", 7, messages, []string{"0", "100", "200", "300", "400", "500"}},
			{"none", 1, messages, nil},
		} {
			records := 0
			reader := read(t, room, engine.ReaderConfig{History: c.n, Channels: func(channel string) bool {
				records++
				return c.channel == "" || c.channel == channel
			}})
			if looked := records; looked > c.records {
				t.Errorf("%d of %q: looked at %d records, want %d", c.n, c.channel, looked, c.records)
			}
			if got := words(reader.messages()); !slices.Equal(got, c.want) {
				t.Errorf("%d of %q: got %v, want %v", c.n, c.channel, got, c.want)
			}
			reader.Close()
		}
	})
}
