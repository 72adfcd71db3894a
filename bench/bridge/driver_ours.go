package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// channelName is the one that messages are sent on, and driverID the peer id of
// the driver's end of the link.
const (
	channelName = "bench"
	driverID    = "benchbenchbenchbench"
)

// connectOurs opens a session, and links with the peer that the room sees it as.
func (b *bridge) connectOurs(ctx context.Context) error {
	ws, _, err := websocket.Dial(ctx, "ws://"+b.address+"/genosrtc/rooms/"+room+"/ws",
		&websocket.DialOptions{Subprotocols: []string{session.MessagePack.Subprotocol()}})
	if err != nil {
		return err
	}
	ws.SetReadLimit(-1)
	b.undo = append(b.undo, func() { _ = ws.CloseNow() })
	hello := session.MessagePack.Encode(&session.Message{Op: session.OpHello})
	if err := ws.Write(ctx, websocket.MessageBinary, hello); err != nil {
		return err
	}
	_, raw, err := ws.Read(ctx)
	if err != nil {
		return err
	}
	welcome, err := session.MessagePack.Decode(raw)
	if err != nil || welcome.Op != session.OpWelcome {
		return errors.Join(err, fmt.Errorf("hello was answered with %q", raw))
	}
	dc, err := newChannel(true)
	if err != nil {
		return err
	}
	b.undo = append(b.undo, dc.close)
	if err := b.signal(ctx, dc, welcome.Peer); err != nil {
		return fmt.Errorf("link with %s: %w", welcome.Peer, err)
	}
	b.session, b.link = listen(&ourSession{ws: ws}), listen(&ourLink{dc})
	return nil
}

// signal finds a peer by the server's relay and links with it, as a browser does.
func (b *bridge) signal(ctx context.Context, dc *channel, peer string) error {
	pool, err := signaling.NewPool(signaling.Config{
		Relays: []string{"ws://" + b.address + "/genosrtc/relay"},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	b.undo = append(b.undo, func() { _ = pool.Close(context.Background()) })
	signals := make(chan engine.Signal, 16)
	in, err := pool.Open(engine.AppRoom(room), "", func(s engine.Signal) {
		if s.From == peer {
			select {
			case signals <- s:
			default: // more than we need
			}
		}
	})
	if err != nil {
		return err
	}
	in.Host(driverID)
	offer, err := dc.offer()
	if err != nil {
		return err
	}
	announce := time.NewTicker(100 * time.Millisecond) // lost until the relay is connected
	defer announce.Stop()
	offered := false
	for {
		select {
		case <-announce.C:
			if !offered {
				in.Announce(driverID, "")
			}
		case s := <-signals:
			if s.Kind == engine.Answer {
				return dc.accept(s.SDP)
			}
			if s.Kind == engine.Announce && !offered {
				offered = true
				in.Offer("", driverID, peer, "", offer)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
