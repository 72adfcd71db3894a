package relay

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// handle answers one message. It is called by the connection's reader.
func (c *Conn) handle(text []byte) {
	req, err := parseRequest(text)
	if !c.allow() {
		c.throttled(req)
		return
	}
	if err != nil {
		c.malformed(req, err)
		return
	}
	switch req.verb {
	case "EVENT":
		c.handleEvent(req.event)
	case "REQ":
		c.subscribe(req.id, req.filters)
	case "CLOSE":
		c.unsubscribe(req.id)
	default:
		c.unsupported(req)
	}
}

// allow takes a message from the rates of the connection and of its address.
func (c *Conn) allow() bool { return c.messages.Allow() && c.address.messages.Allow() }

// throttlePause is how long a connection is not read from after a message above
// its rate, so that not even reading the flood costs much.
const throttlePause = 50 * time.Millisecond

// throttled answers a message above the rate. That is no violation.
func (c *Conn) throttled(req request) {
	switch {
	case req.verb == "EVENT" && isHex(req.event.ID, 64):
		c.relay.counters.eventsRateLimited.Add(1)
		c.reply(okMessage(req.event.ID, false, errThrottle.Error()))
	case req.verb == "REQ" && checkSubscriptionID(req.id) == nil:
		c.relay.counters.rateLimited.Add(1)
		c.unsubscribe(req.id)
		c.reply(closedMessage(req.id, errThrottle.Error()))
	case req.verb == "CLOSE":
		// It makes things lighter.
		c.unsubscribe(req.id)
	default:
		c.relay.counters.rateLimited.Add(1)
		c.reply(noticeMessage(errThrottle.Error()))
	}
	select {
	case <-time.After(throttlePause):
	case <-c.ended:
	}
}

func (c *Conn) malformed(req request, err error) {
	c.relay.counters.malformed.Add(1)
	if req.verb == "REQ" && checkSubscriptionID(req.id) == nil {
		c.reply(closedMessage(req.id, "invalid: the filters are malformed"))
		c.unsubscribe(req.id)
		c.violation("")
		return
	}
	c.violation("invalid: not a message of NIP-01: " + describe(err))
}

func (c *Conn) unsupported(req request) {
	c.relay.counters.unsupported.Add(1)
	switch {
	case req.verb == "COUNT" && checkSubscriptionID(req.id) == nil:
		c.reply(closedMessage(req.id, "error: COUNT is not supported, this relay stores nothing"))
	case req.verb == "AUTH" && isHex(req.event.ID, 64):
		c.reply(okMessage(req.event.ID, false, "error: AUTH is not supported, this relay asks for none"))
	default:
		c.reply(noticeMessage(fmt.Sprintf("error: %q messages are not supported, only EVENT, REQ and CLOSE", clip(req.verb))))
	}
}

// violation answers junk with a notice, if there is one, and closes the
// connection when it or its address has sent too much of it.
func (c *Conn) violation(notice string) {
	if notice != "" {
		c.reply(noticeMessage(notice))
	}
	ok := c.junk.Allow()
	if c.address.junk.Allow() && ok {
		return
	}
	const reason = "too many invalid messages"
	c.cut(ClosePolicy, reason, "blocked: "+reason, &c.relay.counters.closedJunk)
}

// handleEvent checks an event, the cheap things first, and passes it on.
func (c *Conn) handleEvent(ev *nostr.Event) {
	r := c.relay
	if err := checkShape(ev); err != nil {
		r.counters.invalid.Add(1)
		if isHex(ev.ID, 64) {
			c.reply(okMessage(ev.ID, false, err.Error()))
			c.violation("")
		} else {
			c.violation(err.Error())
		}
		return
	}
	refuse := func(counter *atomic.Uint64, err error) {
		counter.Add(1)
		c.reply(okMessage(ev.ID, false, err.Error()))
	}
	if ev.Kind < MinKind || ev.Kind > MaxKind {
		refuse(&r.counters.blocked, errKind)
		return
	}
	if len(ev.Tags) > r.limits.Tags {
		refuse(&r.counters.invalid, fmt.Errorf("invalid: %d tags, at most %d are allowed", len(ev.Tags), r.limits.Tags))
		return
	}
	if err := checkTime(ev, time.Now()); err != nil {
		refuse(&r.counters.invalid, err)
		return
	}
	if r.verifier.isKnown(ev.ID) {
		c.duplicate(ev)
		return
	}
	form := serialized(ev.Serialize())
	if err := form.checkID(ev); err != nil {
		refuse(&r.counters.invalid, err)
		c.violation("")
		return
	}
	rooms, err := r.rooms(ev)
	if err != nil {
		refuse(&r.counters.blocked, err)
		return
	}
	fresh, err := r.verifier.verify(ev)
	switch {
	case err != nil:
		refuse(&r.counters.forged, err)
		c.violation("")
		return
	case !fresh:
		c.duplicate(ev)
		return
	}
	r.counters.accepted.Add(1)
	said := readSignal(ev.Content)
	c.speaker.note(rooms, said)
	c.reply(okMessage(ev.ID, true, ""))
	r.fanOut(&message{tail: form.tail(ev), event: ev, announce: said.announce()})
}

func (c *Conn) duplicate(ev *nostr.Event) {
	c.relay.counters.duplicate.Add(1)
	c.reply(okMessage(ev.ID, true, "duplicate: this event was here before"))
}

// subscribe opens a subscription, or replaces the one with the same id. Nothing
// is stored, so that the end of stored events comes at once.
func (c *Conn) subscribe(id string, filters nostr.Filters) {
	r := c.relay
	if err := checkSubscriptionID(id); err != nil {
		r.counters.refusedSubscriptions.Add(1)
		c.reply(noticeMessage(err.Error()))
		return
	}
	c.unsubscribe(id)
	values, err := r.limits.countValues(filters)
	switch {
	case err != nil:
	case len(c.subs) >= r.limits.Subscriptions:
		err = fmt.Errorf("restricted: %d subscriptions are open, no more are allowed on one connection", len(c.subs))
	case !c.address.take(values, r.limits.ValuesPerAddress):
		err = errors.New("restricted: the subscriptions of this address are too large together")
	}
	if err != nil {
		r.counters.refusedSubscriptions.Add(1)
		c.reply(closedMessage(id, err.Error()))
		return
	}
	sub := &subscription{head: eventHead(id), conn: c, queue: c.queue, values: values, late: c.address.subscribed()}
	c.subs[id] = sub
	r.counters.subscriptions.Add(1)
	r.index.add(sub, filters)
	c.reply(eoseMessage(id))
}

// unsubscribe closes a subscription, if it is open.
func (c *Conn) unsubscribe(id string) {
	sub := c.subs[id]
	if sub == nil {
		return
	}
	delete(c.subs, id)
	c.relay.index.remove(sub)
	c.queue.end(sub)
	c.address.give(sub.values)
	c.address.unsubscribed()
	c.relay.counters.subscriptions.Add(-1)
}
