package signaling

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// draftLimit bounds the messages that wait to be signed.
const draftLimit = 1024

// draft is a message that a room wants to send.
type draft struct {
	room     *room
	kind     engine.SignalKind
	relay    string // the only one that shall have it; "": all
	from, to string
	typ      string
	sdp      string
}

// key names the peer whose presence a draft is about (see queue), and the
// relay that is told, as what one hears the others may not.
func (d draft) key() string {
	if d.kind == engine.Offer || d.kind == engine.Answer {
		return ""
	}
	return d.room.sub + d.from + d.relay
}

func (d draft) topic() string {
	if d.to == "" {
		return d.room.root
	}
	return SelfTopic(d.room.id, d.to)
}

// submit queues a draft for the signer.
func (p *Pool) submit(d draft) {
	if p.drafts.push(d.kind, d.key(), d) != 0 {
		p.count(func(n *Stats) { n.Lost++ })
	}
}

// sign turns drafts into events and gives each to the relays that it is for. A
// signature costs a fraction of a millisecond, so it is made here and not in
// the rooms, once for all relays, and not at all if nobody would hear it.
func (p *Pool) sign() {
	defer close(p.signed)
	for {
		d, ok := p.drafts.next(p.ctx)
		if !ok {
			lost := p.drafts.clear() // by the end of p.ctx only
			p.count(func(n *Stats) { n.Lost += uint64(lost) })
			return
		}
		if d.kind == engine.Announce && !d.room.present(d.from) {
			continue // it has said goodbye meanwhile
		}
		topic := d.topic()
		relays := p.listeners(d.relay, topic)
		if len(relays) == 0 {
			p.count(func(n *Stats) { n.Unheard++ })
			continue
		}
		m, err := p.event(d, topic)
		if err != nil {
			p.count(func(n *Stats) { n.Failed++ })
			p.log.Error("signaling message not sent", "room", d.room.id, "peer", d.from, "error", err)
			continue
		}
		for _, r := range relays {
			r.post(m)
		}
	}
}

func (p *Pool) event(d draft, topic string) (outgoing, error) {
	c := content{kind: d.kind, peer: d.from, typ: d.typ}
	var err error
	if d.kind == engine.Offer || d.kind == engine.Answer {
		if c.envelope, err = d.room.key.seal(d.sdp, newIV()); err != nil {
			return outgoing{}, fmt.Errorf("sealing a description for %q: %w", d.to, err)
		}
	}
	ev := &nostr.Event{
		CreatedAt: nostr.Now(),
		Kind:      Kind(topic),
		Tags:      nostr.Tags{{"x", topic}},
	}
	if ev.Content, err = c.encode(); err != nil {
		return outgoing{}, err
	}
	// FastSign leaves out verifying our own signature, which would take most of
	// the time; it protects long-lived keys against faulty hardware.
	if err := ev.Sign(p.secret, schnorr.FastSign()); err != nil {
		return outgoing{}, fmt.Errorf("signing: %w", err)
	}
	frame, err := nostr.EventEnvelope{Event: *ev}.MarshalJSON()
	if err != nil {
		return outgoing{}, fmt.Errorf("encoding an event: %w", err)
	}
	return outgoing{d.kind, d.key(), ev, frame}, nil
}
