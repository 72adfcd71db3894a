package signaling

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

const (
	// sinceSlack is how far in the past a subscription begins: some relays apply
	// since to live events, and browsers' clocks may be slow.
	sinceSlack = 10 * time.Minute
	// retryClosed is when a subscription that the relay closed is asked for
	// again.
	retryClosed = 30 * time.Second
	// A relay that limits our rate gets one announce each announceGap, until
	// it has not complained for slowTime.
	slowTime    = 2 * time.Minute
	announceGap = 5 * time.Second
)

// pace slows announces down for a relay that limits our rate.
type pace struct {
	until time.Time // announces are slow until then
	next  time.Time // no announce before
}

func (p *pace) slow(now time.Time) {
	p.until, p.next = now.Add(slowTime), now.Add(announceGap)
}

func (p *pace) announced(now time.Time) {
	if now.Before(p.until) {
		p.next = now.Add(announceGap)
	}
}

// write sends subscriptions and events as they come. It returns nil once c.soft
// has ended and everything is sent, or the reason why it could not.
func (c *client) write(ctx context.Context, conn *websocket.Conn) error {
	defer context.AfterFunc(ctx, c.out.poke)()
	defer context.AfterFunc(c.soft, c.out.poke)()
	for ctx.Err() == nil {
		finishing := c.soft.Err() != nil // asked first: nothing is posted afterwards
		least, due := c.duties()
		if finishing {
			least = engine.Announce
		}
		m, ok, changed, refresh := c.out.take(least)
		for _, r := range changed {
			if err := c.subscribe(ctx, conn, r); err != nil {
				return err
			}
		}
		switch {
		case ok:
			if err := c.send(ctx, conn, m.frame); err != nil {
				c.count(func(n *Counters) { n.Lost++ })
				return err
			}
			c.sent(m)
		case finishing:
			return nil
		default:
			c.out.idle(earlier(due, refresh))
		}
	}
	return context.Cause(ctx)
}

// sent counts an event.
func (c *client) sent(m outgoing) {
	c.count(func(n *Counters) { n.Sent++ })
	if m.kind == engine.Announce {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pace.announced(time.Now())
	}
}

// earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// duties asks again for subscriptions whose time has come, and says what kinds
// of events may be sent now, and when to look again (zero: when woken).
func (c *client) duties() (least engine.SignalKind, due time.Time) {
	now := time.Now()
	c.mu.Lock()
	var retry []*room
	for _, s := range c.subs {
		switch {
		case s.retry.IsZero():
		case !now.Before(s.retry):
			s.retry = time.Time{}
			retry = append(retry, s.room)
		default:
			due = earlier(due, s.retry)
		}
	}
	least = engine.Announce
	if now.Before(c.pace.next) {
		least, due = engine.Bye, earlier(due, c.pace.next)
	}
	c.mu.Unlock()
	for _, r := range retry {
		c.out.refresh(r)
	}
	return least, due
}

// subscribe sends a room's REQ, which replaces an older one of the same id
// (NIP-01), or its CLOSE once the room is closed.
func (c *client) subscribe(ctx context.Context, conn *websocket.Conn, r *room) error {
	now := time.Now()
	topics := r.wanted()
	c.mu.Lock()
	_, known := c.subs[r.sub]
	if topics == nil {
		delete(c.subs, r.sub)
	} else {
		c.subs[r.sub] = &subscription{room: r, asked: now}
	}
	c.mu.Unlock()

	var envelope json.Marshaler
	switch {
	case topics != nil:
		since := nostr.Timestamp(now.Add(-sinceSlack).Unix())
		envelope = nostr.ReqEnvelope{SubscriptionID: r.sub, Filters: filtersFor(topics, &since)}
	case known:
		envelope = nostr.CloseEnvelope(r.sub)
	default:
		return nil
	}
	frame, err := envelope.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding the subscription of a room: %w", err)
	}
	return c.send(ctx, conn, frame)
}

func (c *client) send(ctx context.Context, conn *websocket.Conn, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, frame); err != nil {
		return fmt.Errorf("writing to relay: %w", err)
	}
	return nil
}
