package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

const historyWindow = 1600

// party is a participant of a transfer behind a connection that can be cut:
// what was received and not yet seen, and what was said and not yet passed on,
// is lost then.
type party struct {
	token string
	id    string
	on    *engine.Attachment
	take  func(engine.Event)
	ready func() // it is connected again

	out []engine.TransferStep
	mu  sync.Mutex
	in  []engine.Event
}

func (p *party) say(s engine.TransferStep) { p.out = append(p.out, s) }

// connect attaches the party to its seat.
func (p *party) connect(ctx context.Context, room *engine.Room) error {
	cfg := engine.SeatConfig{Resume: time.Hour}
	var a *engine.Attachment
	var err error
	if p.token == "" {
		a, _, err = room.Join(ctx, cfg)
	} else {
		a, _, err = room.Resume(ctx, p.token, 0, cfg)
	}
	if err != nil {
		return err
	}
	p.on, p.token, p.id = a, a.Token(), a.ID()
	go func() {
		for {
			events, err := a.Next(context.Background(), nil)
			if err != nil {
				return
			}
			p.mu.Lock()
			if p.on == a {
				p.in = append(p.in, events...)
			}
			p.mu.Unlock()
		}
	}()
	p.ready()
	return nil
}

// cut loses the connection. The server may notice when the next one is there.
func (p *party) cut(noticed bool) {
	if p.on == nil {
		return
	}
	if noticed {
		p.on.Detach()
	}
	p.mu.Lock()
	p.on, p.in, p.out = nil, nil, nil
	p.mu.Unlock()
}

// work lets the party see at most n events and pass on at most n steps.
func (p *party) work(n int) (busy bool, err error) {
	for range n {
		p.mu.Lock()
		if p.on == nil || len(p.in) == 0 {
			p.mu.Unlock()
			break
		}
		e := p.in[0]
		p.in = p.in[1:]
		p.mu.Unlock()
		p.take(e)
		busy = true
	}
	for range n {
		if p.on == nil || len(p.out) == 0 {
			break
		}
		s := p.out[0]
		p.out = p.out[1:]
		err := p.on.Transfer(context.Background(), s)
		if _, cancels := s.(*engine.TransferCancel); cancels && errors.Is(err, engine.ErrUnknownTransfer) {
			err = nil // the server was restarted, and does not know of it yet
		}
		if err != nil {
			return true, fmt.Errorf("%T %+v: %w", s, s, err)
		}
		busy = true
	}
	synctest.Wait()
	return busy, nil
}

// giver sends one transfer, as docs/gateway.md has a client do it.
type giver struct {
	party
	data      []byte
	chunk     int
	next      uint64
	acked     uint64
	answered  bool // on this connection
	over      bool // ended or cancelled
	cancelled string
	said      int // bytes in chunks
	fractions map[string]float64
	results   map[string]error
	fault     error
}

func (g *giver) begin() {
	g.answered = false
	if g.over {
		return
	}
	g.say(&engine.TransferBegin{ID: 1, Channel: "file", Kind: engine.Binary, Size: uint64(len(g.data)), Offset: g.acked})
}

func (g *giver) hear(e engine.Event) {
	switch e := e.(type) {
	case *engine.TransferBegin:
		g.next, g.answered = e.Offset, true
	case *engine.TransferAck:
		if e.Offset < g.acked {
			g.fault = fmt.Errorf("ack of %d after %d", e.Offset, g.acked)
		}
		g.acked = e.Offset
	case *engine.TransferEnd:
		g.over = true
	case *engine.TransferCancel:
		g.over, g.cancelled = true, e.Reason
	case engine.TransferResult:
		g.results[e.Peer] = e.Err
	case engine.TransferProgress:
		// A report may come twice, and those before a cut were not all heard.
		if e.Fraction < g.fractions[e.Peer] {
			g.fault = fmt.Errorf("progress of %s fell to %g", e.Peer, e.Fraction)
		}
		g.fractions[e.Peer] = e.Fraction
	}
	g.pump()
}

func (g *giver) pump() {
	size := uint64(len(g.data))
	if g.over || !g.answered || g.next > size {
		return
	}
	for g.next < min(size, g.acked+historyWindow) {
		end := min(g.next+uint64(g.chunk), size, g.acked+historyWindow)
		g.say(&engine.TransferChunk{ID: 1, Offset: g.next, Data: g.data[g.next:end]})
		g.said += int(end - g.next)
		g.next = end
	}
	if g.next == size {
		g.say(&engine.TransferEnd{ID: 1, Hash: hash(g.data)})
		g.next++ // once
	}
}

// taker receives it.
type taker struct {
	party
	known     bool
	done      bool
	cancelled string
	stored    []byte
	acked     int
	ackEvery  int
}

func (k *taker) hear(e engine.Event) {
	switch e := e.(type) {
	case *engine.TransferBegin:
		switch {
		case k.done:
			k.say(&engine.TransferEnd{ID: e.ID, From: e.From})
		case e.Offset > 0 && !k.known:
			k.say(&engine.TransferCancel{ID: e.ID, From: e.From, Reason: "unknown"})
		default:
			k.known, k.acked = true, len(k.stored)
			k.say(&engine.TransferBegin{ID: e.ID, From: e.From, Offset: uint64(len(k.stored))})
		}
	case *engine.TransferChunk:
		if int(e.Offset) != len(k.stored) || !k.known {
			return
		}
		k.stored = append(k.stored, e.Data...)
		if len(k.stored)-k.acked >= k.ackEvery {
			k.ack(e.ID, e.From)
		}
	case *engine.TransferEnd:
		if k.done || !k.known {
			return
		}
		if hash(k.stored) != e.Hash {
			k.say(&engine.TransferCancel{ID: e.ID, From: e.From, Reason: "corrupt"})
			return
		}
		k.done = true
		k.say(&engine.TransferEnd{ID: e.ID, From: e.From})
	case *engine.TransferCancel:
		k.known, k.stored, k.cancelled = false, nil, e.Reason
	}
}

func (k *taker) ack(id uint64, from string) {
	k.acked = len(k.stored)
	k.say(&engine.TransferAck{ID: id, From: from, Offset: uint64(k.acked)})
}

// Whatever is cut, restarted or late: who has all of a transfer has what was
// sent, each other is reported, progress rises to exactly 1, and little is sent
// twice.
func TestAnyTransferHistory(t *testing.T) {
	type step struct {
		what string
		who  int
		n    int
	}
	rapid.Check(t, func(rt *rapid.T) {
		takers := rapid.IntRange(1, 3).Draw(rt, "takers")
		size := rapid.IntRange(0, 20_000).Draw(rt, "size")
		chunk := rapid.IntRange(50, 700).Draw(rt, "chunk")
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				rapid.SampledFrom([]string{"work", "work", "work", "work", "cut", "cut", "connect", "connect", "restart", "wait", "cancel"}).Draw(rt, "what"),
				rapid.IntRange(0, takers).Draw(rt, "who"),
				rapid.IntRange(1, 40).Draw(rt, "n"),
			}
		}), 0, 60).Draw(rt, "steps")
		cancels := rapid.Bool().Draw(rt, "cancels")
		dir := t.TempDir()
		var failed string
		synctest.Test(t, func(t *testing.T) {
			failed = func() string {
				kept, err := store.Open(dir+"/store", slog.New(slog.DiscardHandler))
				if err != nil {
					return err.Error()
				}
				defer kept.Close()
				var n *engine.Node
				var room *engine.Room
				start := func() error {
					e := memnet.New().Endpoint("server")
					n = engine.New(engine.Config{
						Signaling: e, Transport: e, Logger: slog.New(slog.DiscardHandler),
						Limits: engine.Limits{Window: historyWindow}, Dir: dir, Store: kept,
					})
					room, err = n.Open(engine.RoomConfig{Name: "demo"})
					return err
				}
				if err := start(); err != nil {
					return err.Error()
				}
				defer func() { n.Close(context.Background()) }()

				g := &giver{data: payload(size), chunk: chunk, fractions: map[string]float64{}, results: map[string]error{}}
				g.take, g.ready = g.hear, g.begin
				parties := []*party{}
				var ks []*taker
				for i := range takers {
					k := &taker{ackEvery: 1 + 70*i}
					k.take, k.ready = k.hear, func() {}
					ks = append(ks, k)
					parties = append(parties, &k.party)
				}
				parties = append(parties, &g.party)
				connect := func() error {
					for _, p := range parties {
						if p.on == nil {
							if err := p.connect(t.Context(), room); err != nil {
								return err
							}
						}
					}
					return nil
				}
				if err := connect(); err != nil {
					return err.Error()
				}
				cuts := 0
				for _, s := range steps {
					p := parties[s.who]
					switch s.what {
					case "work":
						if _, err := p.work(s.n); err != nil {
							return err.Error()
						}
					case "cut":
						p.cut(s.n%2 == 0)
						cuts++
					case "connect":
						if p.on == nil {
							if err := p.connect(t.Context(), room); err != nil {
								return err.Error()
							}
						}
					case "restart":
						n.Close(context.Background())
						for _, p := range parties {
							p.cut(false)
							cuts++
						}
						if err := start(); err != nil {
							return err.Error()
						}
					case "wait":
						settle(time.Duration(s.n) * time.Second / 2)
					case "cancel":
						if cancels && s.who < takers && ks[s.who].known && !ks[s.who].done && p.on != nil {
							ks[s.who].known = false
							p.say(&engine.TransferCancel{ID: 1, From: g.id, Reason: "enough"})
						}
					}
					synctest.Wait()
				}
				// Peace: everybody works until nothing more happens.
				if err := connect(); err != nil {
					return err.Error()
				}
				synctest.Wait()
				for range 10_000 {
					busy := false
					for _, p := range parties {
						b, err := p.work(1000)
						if err != nil {
							return err.Error()
						}
						busy = busy || b
					}
					if !busy {
						break
					}
				}
				if g.fault != nil {
					return g.fault.Error()
				}
				if !g.over {
					return fmt.Sprintf("the transfer has not ended: %d of %d acknowledged, results %v", g.acked, size, g.results)
				}
				reached := false
				for i, k := range ks {
					reached = reached || k.done
					switch err := g.results[k.id]; {
					case k.done && !bytes.Equal(k.stored, g.data):
						return fmt.Sprintf("taker %d has other bytes", i)
					case k.done && g.fractions[k.id] != 1:
						return fmt.Sprintf("the progress of taker %d ended at %g", i, g.fractions[k.id])
					case !k.done && err == nil:
						return fmt.Sprintf("taker %d has %d bytes and was not reported", i, len(k.stored))
					case !k.done && !errors.Is(err, engine.ErrPeerSlow) && !errors.Is(err, engine.ErrRefused):
						return fmt.Sprintf("taker %d was reported with %v", i, err)
					}
				}
				if reached != (g.cancelled == "") {
					return fmt.Sprintf("cancelled: %q, though somebody has it: %v", g.cancelled, reached)
				}
				if most := size + cuts*historyWindow; g.said > most {
					return fmt.Sprintf("%d bytes were sent, %d cuts allow %d", g.said, cuts, most)
				}
				return ""
			}()
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}
