package signaling

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

const (
	// maxMessage bounds a relay's message in bytes. Longer ones are skipped, as
	// anybody can post a long event on our topics; beyond maxSkipped the relay
	// itself misbehaves, and the socket is closed.
	maxMessage = 64 << 10
	maxSkipped = 4 << 20
	// replayTime is how long a relay is given to send EOSE.
	replayTime = 10 * time.Second
)

// read handles what the relay sends, until the socket fails or the relay
// demands what we do not give.
func (c *client) read(ctx context.Context, conn *websocket.Conn) error {
	conn.SetReadLimit(maxSkipped)
	var buf bytes.Buffer
	for {
		typ, message, err := conn.Reader(ctx)
		if err != nil {
			return fmt.Errorf("reading from relay: %w", err)
		}
		buf.Reset()
		n, err := buf.ReadFrom(io.LimitReader(message, maxMessage+1))
		if err == nil && n > maxMessage {
			_, err = io.Copy(io.Discard, message)
		}
		if err != nil {
			return fmt.Errorf("reading from relay: %w", err)
		}
		if n > maxMessage || typ != websocket.MessageText {
			c.junk()
			continue
		}
		if err := c.handle(buf.Bytes()); err != nil {
			return err
		}
	}
}

// handle takes one message of the relay (NIP-01). It fails only with a demand.
func (c *client) handle(message []byte) error {
	switch m := nostr.ParseMessage(message).(type) {
	case *nostr.EventEnvelope:
		c.event(m)
	case *nostr.EOSEEnvelope:
		c.mu.Lock()
		if s, ok := c.subs[string(*m)]; ok {
			s.live = true
		}
		c.mu.Unlock()
	case *nostr.OKEnvelope:
		if !m.OK {
			return c.refused(m.Reason)
		}
	case *nostr.ClosedEnvelope:
		c.mu.Lock()
		if s, ok := c.subs[m.SubscriptionID]; ok && s.retry.IsZero() {
			s.retry = time.Now().Add(retryClosed)
		}
		c.mu.Unlock()
		c.out.poke() // the writer minds the time
		return c.refused(m.Reason)
	case *nostr.NoticeEnvelope:
		return c.complaint(string(*m))
	case *nostr.AuthEnvelope:
		// A challenge alone demands nothing (NIP-42).
	default:
		c.junk()
	}
	return nil
}

func (c *client) event(m *nostr.EventEnvelope) {
	var r *room
	var stored bool
	if m.SubscriptionID != nil {
		c.mu.Lock()
		if s, ok := c.subs[*m.SubscriptionID]; ok {
			r = s.room
			stored = !s.live && time.Since(s.asked) < replayTime
		}
		c.mu.Unlock()
	}
	if r == nil {
		c.junk()
		return
	}
	r.receive(&c.record, c.url, &m.Event, false, stored)
}

// refused counts what the relay did not take, and hears why.
func (c *client) refused(reason string) error {
	c.count(func(n *Counters) { n.Refused++ })
	return c.complaint(reason)
}

// complaint heeds the relay's words. The error is a demand.
func (c *client) complaint(text string) error {
	c.complain(text)
	if d, ok := demandOf(text); ok {
		return d
	}
	if rateLimited(text) {
		c.mu.Lock()
		first := time.Now().After(c.pace.until)
		c.pace.slow(time.Now())
		c.mu.Unlock()
		if first {
			c.log.Warn("relay limits our rate: announcing more slowly", "text", clip(text))
		}
	}
	return nil
}

func (c *client) junk() { c.count(func(n *Counters) { n.Junk++ }) }
