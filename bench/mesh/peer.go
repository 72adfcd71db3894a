package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

const (
	room    = "mesh"
	channel = "chat"
)

// peer is one of the room, with an engine of its own.
type peer struct {
	number   int // among all there ever were
	id       string
	endpoint *memnet.Endpoint
	node     *engine.Node
	room     *engine.Room
	seat     *engine.Attachment
	since    time.Time
	left     time.Time   // zero: it is there
	silent   atomic.Bool // has crashed
}

func (w *world) join() error {
	p := &peer{number: len(w.all), endpoint: w.net.Endpoint(fmt.Sprint("peer ", len(w.all))), since: time.Now()}
	p.node = engine.New(engine.Config{
		Signaling: signaling{p.endpoint, p}, Transport: transport{p.endpoint, w, p},
		Logger: slog.New(slog.DiscardHandler),
	})
	var err error
	if p.room, err = p.node.Open(engine.RoomConfig{
		Name: room, Identity: engine.IdentityServer, Cells: engine.CellsOn, CellSize: w.cell,
	}); err != nil {
		return err
	}
	if p.seat, _, err = p.room.Join(context.Background(), engine.SeatConfig{}); err != nil {
		return err
	}
	p.id = p.seat.Mesh()
	w.all, w.here = append(w.all, p), append(w.here, p)
	return nil
}

// leave has a peer say goodbye, or crash.
func (w *world) leave(p *peer, crash bool) {
	p.left = time.Now()
	if crash {
		p.silent.Store(true)
		p.endpoint.Cut()
	}
	w.leaving.Go(func() {
		if err := p.node.Close(context.Background()); err != nil {
			w.t.Errorf("close a node: %v", err)
		}
	})
}

// signaling is an endpoint's, until its peer has crashed.
type signaling struct {
	*memnet.Endpoint
	peer *peer
}

func (s signaling) Open(room, password string, deliver func(engine.Signal)) (engine.SignalingRoom, error) {
	r, err := s.Endpoint.Open(room, password, deliver)
	return signalingRoom{r, s.peer}, err
}

type signalingRoom struct {
	engine.SignalingRoom
	peer *peer
}

func (s signalingRoom) Announce(peer, typ string) {
	if !s.peer.silent.Load() {
		s.SignalingRoom.Announce(peer, typ)
	}
}

func (s signalingRoom) Bye(peer string) {
	if !s.peer.silent.Load() {
		s.SignalingRoom.Bye(peer)
	}
}

// transport is an endpoint's, whose frames the world reads.
type transport struct {
	engine.Transport
	world *world
	peer  *peer
}

func (t transport) Offer(ctx context.Context, h engine.LinkHandler) (engine.Link, string, error) {
	return t.Transport.Offer(ctx, ear{h, t.world, t.peer})
}

func (t transport) Answer(ctx context.Context, offer string, h engine.LinkHandler) (engine.Link, string, error) {
	return t.Transport.Answer(ctx, offer, ear{h, t.world, t.peer})
}

// ear reads the frames that come by a link.
type ear struct {
	engine.LinkHandler
	world *world
	peer  *peer
}

func (e ear) LinkFrame(b []byte) {
	e.world.heard(e.peer, b)
	e.LinkHandler.LinkFrame(b)
}
