// Package bulk puts load on one link between two engines, for tests and
// benchmarks: as seats see it, and no faster than the link takes it.
package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

const (
	// perMessage is what one message carries, and perLink what a sender has
	// under way that was not acknowledged: in the outbox and in the transport.
	perMessage = 128 << 10
	perLink    = 1 << 20
)

// End is what one of the two engines is made of.
type End struct {
	Signaling engine.Signaling
	Transport engine.Transport
}

// Link is a link between two engines, with a seat at each.
type Link struct {
	nodes    []*engine.Node
	From, To *engine.Attachment
	Target   string // the peer id that From sends to
	peak     atomic.Int64
	most     int
}

// New links two engines. The link is up when it returns, but for the errors.
func New(ctx context.Context, from, to End) (l *Link, err error) {
	l = new(Link)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("link two engines: %w", err), l.Close())
		}
	}()
	var peers []engine.Peer
	if l.To, peers, err = l.open(ctx, to); err != nil {
		return l, err
	}
	l.Target = peers[0].ID // its server
	if l.From, peers, err = l.open(ctx, from); err != nil {
		return l, err
	}
	for {
		for _, p := range peers {
			if p.ID == l.Target {
				return l, nil
			}
		}
		events, err := l.From.Next(ctx, nil)
		if err != nil {
			return l, err
		}
		for _, e := range events {
			if e, ok := e.(engine.PeerEvent); ok && e.Change == engine.PeerJoin {
				peers = append(peers, e.Peer)
			}
		}
	}
}

func (l *Link) open(ctx context.Context, e End) (*engine.Attachment, []engine.Peer, error) {
	n := engine.New(engine.Config{
		Signaling: e.Signaling, Transport: watched{e.Transport, &l.peak}, Logger: slog.New(slog.DiscardHandler),
	})
	l.nodes = append(l.nodes, n)
	r, err := n.Open(engine.RoomConfig{Name: "bulk", Identity: engine.IdentityServer})
	if err != nil {
		return nil, nil, err
	}
	return r.Join(ctx, engine.SeatConfig{})
}

// Close closes both engines. The transports are the caller's.
func (l *Link) Close() error {
	var errs []error
	for _, n := range l.nodes {
		errs = append(errs, n.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// Peak is the most bytes that the link's transport held, in either direction.
func (l *Link) Peak() int { return int(l.peak.Load()) }

// Most is the most bytes that Carry had given to the link which it had not
// acknowledged: those of Peak, and of the outbox.
func (l *Link) Most() int { return l.most }

// Carry sends so many bytes, as messages that follow each other as soon as there
// is room for them, and returns the time until the last was acknowledged. It
// fails unless they all arrive, equal and in order, and their progress grows
// from event to event until it is exactly 1.
func (l *Link) Carry(ctx context.Context, size int) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(data)
	received := make(chan struct{})
	go func() {
		defer close(received)
		if err := l.receive(ctx, data); err != nil {
			cancel(err)
		}
	}()
	start := time.Now()
	err := l.send(ctx, data)
	took := time.Since(start)
	if err != nil {
		cancel(err)
	}
	<-received
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("carry %d bytes: after %s: %w", size, took, err)
	}
	return took, nil
}

func (l *Link) send(ctx context.Context, data []byte) error {
	var (
		messages  = len(data) / perMessage
		sent      int
		arrived   int     // messages
		all, last float64 // messages, with the part of the one that is under way
	)
	for arrived < messages {
		for ; sent < messages; sent++ {
			under := (sent+1)*perMessage - int(all*perMessage)
			if under > perLink {
				break
			}
			l.most = max(l.most, under)
			if err := l.From.Send(ctx, engine.Outgoing{
				Ref: uint64(sent), Channel: "bulk", To: []string{l.Target}, Progress: true,
				Content: engine.Content{Kind: engine.Binary, Data: data[sent*perMessage:][:perMessage]},
			}); err != nil {
				return err
			}
		}
		events, err := l.From.Next(ctx, nil)
		if err != nil {
			return err
		}
		for _, e := range events {
			switch e := e.(type) {
			case engine.Result:
				return fmt.Errorf("message %d did not arrive: %w", e.Ref, e.Err)
			case engine.Progress:
				if e.Ref != uint64(arrived) {
					return fmt.Errorf("progress of message %d while %d is under way", e.Ref, arrived)
				}
				if all = float64(arrived) + e.Fraction; all <= last {
					return fmt.Errorf("progress from %v to %v messages", last, all)
				}
				if last = all; e.Fraction == 1 {
					arrived++
				}
			}
		}
	}
	if all/float64(messages) != 1 {
		return fmt.Errorf("progress ended at %v", all/float64(messages))
	}
	return nil
}

func (l *Link) receive(ctx context.Context, want []byte) error {
	for len(want) > 0 {
		events, err := l.To.Next(ctx, nil)
		if err != nil {
			return err
		}
		for _, e := range events {
			m, ok := e.(*engine.Message)
			if !ok {
				continue
			}
			if !bytes.HasPrefix(want, m.Content.Data) {
				return fmt.Errorf("something else arrived, %d bytes before the end", len(want))
			}
			want = want[len(m.Content.Data):]
		}
	}
	return nil
}
