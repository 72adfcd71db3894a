package handler

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/session"
)

const (
	// connectTime is how long a WebRTC connection may take to come up. The client's
	// person may have to allow something.
	connectTime = 30 * time.Second
	// channelTime is how long after that a client may take to open the data channel.
	channelTime = 10 * time.Second
	// maxConnecting bounds the connections that are being made.
	maxConnecting = 256
	// maxConnectingHere bounds those of one network.
	maxConnectingHere = 32
	// offerRate and offerBurst bound the offers of a network, in a second and at once:
	// each costs a socket's worth of work, before anybody is at the other end.
	offerRate  = 10
	offerBurst = 100
	// patchRate and patchBurst bound the PATCHes of a session, in a second and at
	// once: browsers find some twenty candidates.
	patchRate  = 5
	patchBurst = 50
)

// guest is a session over WebRTC: the resource that a POST has made.
type guest struct {
	id   string // unguessable: who knows it may end the session
	room string
	peer *rtc.Guest
	meta []byte // that the client said of its media; nil: nothing

	patches  *rate.Limiter
	patching chan struct{} // has room for the one under way

	mu      sync.Mutex
	version int  // counts the ICE sessions
	deleted bool // by the client
}

// tag is the entity tag of the ICE session (RFC 9725, section 4.3.1).
func (g *guest) tag() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return `"` + strconv.Itoa(g.version) + `"`
}

// next is the tag of a new ICE session.
func (g *guest) next() string {
	g.mu.Lock()
	g.version++
	g.mu.Unlock()
	return g.tag()
}

// guests are those of a handler.
type guests struct {
	patience time.Duration // connectTime, but in tests

	mu         sync.Mutex
	all        map[string]*guest
	connecting int
	byNetwork  map[string]int // of those
}

// begin counts a connection that is being made, until begun, unless there are too
// many.
func (s *guests) begin(network string) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byNetwork[network] >= maxConnectingHere:
		return tooManyPendingHere
	case s.connecting >= maxConnecting:
		return tooManyPending
	}
	if s.byNetwork == nil {
		s.byNetwork = make(map[string]int)
	}
	s.connecting++
	s.byNetwork[network]++
	return nil
}

func (s *guests) begun(network string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connecting--
	if s.byNetwork[network]--; s.byNetwork[network] == 0 {
		delete(s.byNetwork, network)
	}
}

func (s *guests) add(room string, peer *rtc.Guest, meta []byte) *guest {
	g := &guest{
		id: rand.Text(), room: room, peer: peer, meta: meta, version: 1,
		patches: rate.NewLimiter(patchRate, patchBurst), patching: make(chan struct{}, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]*guest)
	}
	s.all[g.id] = g
	return g
}

// get finds a guest of a room, nil if there is none.
func (s *guests) get(room, id string) *guest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.all[id]; g != nil && g.room == room {
		return g
	}
	return nil
}

func (s *guests) remove(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, g.id)
}

// delete ends a guest by its client's wish.
func (s *guests) delete(g *guest) {
	s.remove(g)
	g.mu.Lock()
	g.deleted = true
	g.mu.Unlock()
	_ = g.peer.Close()
}

// host is the life of a guest, from the answer on.
func (h *Handler) host(g *guest, v *visit, address string) {
	log := h.log.With("room", g.room, "address", address)
	defer func() {
		h.guests.remove(g)
		_ = g.peer.Close()
		if err := recover(); err != nil {
			log.Error("a session failed", "error", err, "stack", string(debug.Stack()))
		}
	}()
	defer context.AfterFunc(h.killed, func() { _ = g.peer.Close() })()
	if err := h.connect(g, network(address)); err != nil {
		log.Debug("no WebRTC connection", "reason", err)
		return
	}
	h.opened.Add(1)
	if !g.peer.HasData() {
		log.Debug("session ended", "reason", h.sit(g, v, address))
		return
	}
	channel, err := h.channel(g)
	if err != nil {
		log.Debug("no session on a WebRTC connection", "reason", err)
		return
	}
	conn := &dataConn{guest: g.peer, channel: channel, limit: 2*v.set.limits.Message + readHeadroom}
	h.run(conn, session.Config{
		Room: v.room, Codec: session.MessagePack, Advised: channelMessage,
		Joined: func(seat *engine.Attachment, grant session.Grant) {
			if grant.MayPublish(engine.ChannelStream) {
				h.joined(v.room, seat, g)
			}
		},
	}, v.shown, v.set.limits, address)
}

// joined has the media of a guest that has a seat reach the room.
func (h *Handler) joined(room *engine.Room, seat *engine.Attachment, g *guest) {
	if h.media != nil {
		h.media(room, seat, g.peer)
		return
	}
	g.peer.Publish(seat, g.meta, func(err error) {
		h.log.Warn("media of a session do not reach the room", "room", g.room, "session", seat.ID(), "error", err)
	})
}

// connect waits until the connection is up.
func (h *Handler) connect(g *guest, network string) error {
	defer h.guests.begun(network)
	timer := time.NewTimer(h.guests.patience)
	defer timer.Stop()
	var err error
	select {
	case <-g.peer.Connected():
		return nil
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	case <-g.peer.Done():
		err = context.Cause(g.peer.Context())
	case <-timer.C:
		err = fmt.Errorf("it was not up within %v", h.guests.patience)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.deleted {
		h.refused.Add("webrtc")
	}
	return err
}

// channel waits for the data channel.
func (h *Handler) channel(g *guest) (*rtc.Channel, error) {
	timer := time.NewTimer(channelTime)
	defer timer.Stop()
	select {
	case c := <-g.peer.Channel():
		return c, nil
	case <-g.peer.Done():
		return nil, context.Cause(g.peer.Context())
	case <-h.ctx.Done():
		return nil, context.Cause(h.ctx)
	case <-timer.C:
		h.refused.Add("webrtc")
		return nil, fmt.Errorf("no data channel %q within %v", channelLabel, channelTime)
	}
}

// missed counts a client that gets no seat after all, of which who watches is told.
func (h *Handler) missed(room, address string, code session.Code) {
	h.refused.Add(string(code))
	h.tell(room, address, string(code))
}

// sit is a seat for a guest that only sends media. It hears nothing but what has to
// be answered.
func (h *Handler) sit(g *guest, v *visit, address string) error {
	held := h.hold(v.room)
	defer held.release()
	grant, fault := held.admit(v.shown)
	if fault == nil && !grant.MayPublish(engine.ChannelStream) {
		fault = &session.Error{Code: session.CodeForbidden, Text: forbiddenMedia.detail}
	}
	if fault != nil {
		h.missed(g.room, address, fault.Code)
		return fault
	}
	ctx, stop := context.WithCancelCause(g.peer.Context())
	defer stop(nil)
	for _, other := range []context.Context{h.ctx, held.ctx} {
		defer context.AfterFunc(other, func() { stop(context.Cause(other)) })()
	}
	if !grant.Expires.IsZero() {
		limited, cancel := context.WithDeadlineCause(ctx, grant.Expires, errors.New("the token has expired"))
		defer cancel()
		ctx = limited
	}
	seat, _, err := v.room.Join(ctx, engine.SeatConfig{
		Owner: network(address), User: grant.User, PerOwner: v.set.limits.SessionsPerAddress,
		Hears: func(string) bool { return false },
	})
	if errors.Is(err, engine.ErrRoomFull) {
		h.missed(g.room, address, session.CodeRoomFull)
	}
	if err != nil {
		return err
	}
	defer seat.Leave()
	h.joined(v.room, seat, g)
	var batch []engine.Event
	for {
		if batch, err = seat.Next(ctx, batch[:0]); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		for _, e := range batch {
			if ping, ok := e.(engine.PingRequest); ok {
				seat.Pong(ping.Token)
			}
		}
		clear(batch)
	}
}
