package signaling

import (
	"errors"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// staleAfter is the age from which a stored event says nothing of who is here
// now. Events that come live may be of any age, as clocks differ.
const staleAfter = 60 * time.Second

// Why an event is not delivered, besides errSealed.
var (
	errEcho      = errors.New("event of our own")
	errOdd       = errors.New("event is no signaling message of the room")
	errClaimed   = errors.New("event of a stranger in the name of a hosted peer")
	errDuplicate = errors.New("event came before")
	errForged    = errors.New("event with a wrong id or signature")
	errStale     = errors.New("stored event is too old")
	errOverflow  = errors.New("room fell behind")
)

// receive takes an event for a room from a relay, and counts what becomes of
// it. Events are verified unless the relay has done it. stored tells that the
// relay may be replaying the past.
func (r *room) receive(relay *record, name string, ev *nostr.Event, verified, stored bool) {
	err := r.take(name, ev, verified, stored)
	if errors.Is(err, errEcho) {
		return
	}
	relay.count(func(c *Counters) {
		c.Received++
		switch err {
		case nil:
			c.Delivered++
		case errSealed:
			c.Sealed++
		case errClaimed:
			c.Claimed++
		case errDuplicate:
			c.Duplicates++
		case errForged:
			c.Forged++
		case errStale:
			c.Stale++
		case errOverflow:
			c.Overflow++
		default:
			c.Odd++
		}
	})
}

// take does what is cheap first: a signature costs 25 times as much as all the
// rest. An event counts as known only once its signature held, so that a
// forgery cannot keep out the real one.
func (r *room) take(relay string, ev *nostr.Event, verified, stored bool) error {
	if ev.PubKey == r.pool.author {
		return errEcho
	}
	if !verified && !wellFormed(ev) {
		return errForged
	}
	if r.pool.seen.Contains(ev.ID) {
		return errDuplicate
	}
	if stored && ev.CreatedAt.Time().Before(time.Now().Add(-staleAfter)) {
		return errStale
	}
	signal, err := r.read(ev)
	if err != nil {
		return err
	}
	if !verified && !genuine(ev) {
		return errForged
	}
	if known, _ := r.pool.seen.ContainsOrAdd(ev.ID, struct{}{}); known {
		return errDuplicate // another relay was faster
	}
	signal.Relay = relay
	if r.inbox.push(signal.Kind, "", signal) != 0 {
		return errOverflow
	}
	return nil
}

// read understands an event. It proves nothing.
func (r *room) read(ev *nostr.Event) (engine.Signal, error) {
	tag := ev.Tags.GetFirst([]string{"x", ""})
	if tag == nil {
		return engine.Signal{}, errOdd
	}
	topic := tag.Value()
	to, ok := r.addressee(topic)
	if !ok || ev.Kind != Kind(topic) {
		return engine.Signal{}, errOdd
	}
	c, err := parseContent(ev.Content)
	if err != nil {
		return engine.Signal{}, err
	}
	toAll := c.kind == engine.Announce || c.kind == engine.Bye
	if toAll != (to == "") {
		return engine.Signal{}, errOdd
	}
	if r.hosts(c.peer) {
		return engine.Signal{}, errClaimed
	}
	s := engine.Signal{Kind: c.kind, From: c.peer, To: to, Type: c.typ, Author: ev.PubKey}
	if !toAll {
		if s.SDP, err = r.key.open(c.envelope); err != nil {
			if errors.Is(err, errSealed) {
				r.sealed.Add(c.peer, time.Now())
			}
			return engine.Signal{}, err
		}
	}
	return s, nil
}

// wellFormed checks the shapes that package nostr relies on.
func wellFormed(ev *nostr.Event) bool {
	return nostr.IsValid32ByteHex(ev.ID) && nostr.IsValid32ByteHex(ev.PubKey) && len(ev.Sig) == 128
}

// genuine verifies id and signature (NIP-01).
func genuine(ev *nostr.Event) bool {
	if !ev.CheckID() {
		return false
	}
	ok, err := ev.CheckSignature()
	return ok && err == nil
}
