package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

const (
	// perMessage is what one of our messages carries: below the 100 frames that
	// there may be. ahead are those that are under way.
	perMessage = 1 << 20
	ahead      = 4
)

// ours is a process with the engine: a room, a seat, and a link to the room of
// the other process.
type ours struct {
	seat  *engine.Attachment
	done  chan struct{} // closed when the other process has everything
	close func()
}

func newOurs(l *line) (*ours, error) {
	transport, err := rtc.New(rtc.Config{UDP: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s := &signaling{line: l}
	node := engine.New(engine.Config{Signaling: s, Transport: transport, Logger: slog.New(slog.DiscardHandler)})
	room, err := node.Open(engine.RoomConfig{Name: "bench", Identity: engine.IdentityServer})
	if err != nil {
		return nil, err
	}
	o := &ours{done: make(chan struct{}), close: func() {
		_ = node.Close(context.Background()) // without a deadline there is no error
		_ = transport.Close()
	}}
	go func() {
		for {
			n, err := l.hear()
			switch {
			case err != nil:
				return // the other process has ended
			case n.Done:
				close(o.done)
			case n.Signal != nil:
				s.deliver(*n.Signal)
			}
		}
	}()
	o.seat, _, err = room.Join(context.Background(), engine.SeatConfig{})
	return o, err
}

// send sends so many bytes when the link is up, and returns the time until all
// had arrived.
func (o *ours) send(bytes int) (time.Duration, error) {
	ctx := context.Background()
	data := make([]byte, perMessage)
	for i := range data {
		data[i] = byte(i * 7)
	}
	var (
		start         time.Time
		target        string
		messages      = bytes / perMessage
		sent, arrived int
	)
	for arrived < messages {
		events, err := o.seat.Next(ctx, nil)
		if err != nil {
			return 0, err
		}
		for _, e := range events {
			switch e := e.(type) {
			case engine.PeerEvent:
				if e.Change == engine.PeerJoin && target == "" {
					target, start = e.Peer.ID, time.Now()
				}
			case engine.Progress:
				if e.Fraction == 1 {
					arrived++
				}
			case engine.Result:
				return 0, fmt.Errorf("message %d: %w", e.Ref, e.Err)
			}
		}
		for ; target != "" && sent < messages && sent < arrived+ahead; sent++ {
			if err := o.seat.Send(ctx, engine.Outgoing{
				Ref: uint64(sent), Channel: "bulk", To: []string{target}, Progress: true,
				Content: engine.Content{Kind: engine.Binary, Data: data},
			}); err != nil {
				return 0, err
			}
		}
	}
	<-o.done
	return time.Since(start), nil
}

func (o *ours) receive(bytes int) error {
	var buf []engine.Event
	for got := 0; got < bytes; {
		events, err := o.seat.Next(context.Background(), buf[:0])
		if err != nil {
			return err
		}
		for _, e := range events {
			if e, ok := e.(*engine.Message); ok {
				got += len(e.Content.Data)
			}
		}
		buf = events
	}
	return nil
}
