package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

const (
	// answerTime is how long a peer may take to answer an offer of ours. Browsers
	// need milliseconds.
	answerTime = 5 * time.Second
	// maxOffers is how often we make an offer that stays without answer, until
	// the streams change again.
	maxOffers = 3
	// maxRenegotiate is the number of descriptions of the remote peer that wait.
	maxRenegotiate = 4
	// maxDescription is the size of one, in bytes. Browsers' with dozens of sections
	// have 200 KB.
	maxDescription = 512 << 10
)

// negotiation is the descriptions that pass over a link for the sake of media
// (docs/protocol.md, "Media"). Those of the remote peer are answered, and ours are
// made, one after the other: an offer of ours is answered, or withdrawn, before
// anything else. A goroutine does that, which ends as soon as it has to wait.
type negotiation struct {
	link *link

	mu      sync.Mutex
	running bool
	ended   bool
	offers  []string  // of the remote peer
	answer  string    // of the remote peer; empty: none
	want    []*Stream // that the link is to send
	changed bool      // since want was offered, or given up
	round   int       // of our offers
	late    int       // the round whose answer is
	timer   func()    // stops what sets late

	// What follows is run's.
	target      []*Stream // what is worked towards: want, as it was
	have        []*Stream // that the remote peer knows of
	offered     []*Stream // by the offer under way
	outstanding bool
	unanswered  int
}

// send has the link send streams, and no others.
func (n *negotiation) send(streams []*Stream) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Equal(n.want, streams) {
		return
	}
	n.want, n.changed = streams, true
	n.wake()
}

// heard takes a description of the remote peer.
func (n *negotiation) heard(d description) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case d.SDP == "" || d.Type != "offer" && d.Type != "answer":
		n.drop("media: bad signal")
	case len(d.SDP) > maxDescription:
		n.drop("media: description too long")
	case d.Type == "answer" && n.answer != "":
		n.drop("media: answer to no offer")
	case d.Type == "answer":
		n.answer = d.SDP
	case len(n.offers) >= maxRenegotiate:
		n.drop("media: too many signals under way")
	default:
		n.offers = append(n.offers, d.SDP)
	}
	n.wake()
}

// end is that of the link.
func (n *negotiation) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	n.offers, n.want = nil, nil
	if n.timer != nil {
		n.timer()
	}
}

// wake has run look at what there is to do. It needs the lock. The link, which has
// not ended, counts as a task of the room, so that its tasks can grow.
func (n *negotiation) wake() {
	if !n.running && !n.ended {
		n.running = true
		n.link.room.tasks.Go(n.run)
	}
}

func (n *negotiation) run() {
	for {
		step := n.next()
		if step == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), sdpTime)
		if err := step(ctx); err != nil && !errors.Is(err, ErrPeerGone) {
			n.drop("media: description refused")
			n.link.room.log.Debug("renegotiation failed", "peer", n.link.pair.remote, "error", err)
		}
		cancel()
	}
}

// next is what to do next; nil, and then run ends, if that is nothing.
func (n *negotiation) next() (step func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer, late := n.answer, n.late == n.round
	n.answer = ""
	switch {
	case n.ended:
	case n.outstanding && answer != "":
		return func(ctx context.Context) error { return n.complete(ctx, answer) }
	case n.outstanding && late:
		return n.timeout
	case len(n.offers) > 0:
		offer := n.offers[0]
		n.offers = n.offers[1:]
		if n.outstanding && n.link.dialed {
			return n.ignore
		}
		return func(ctx context.Context) error { return n.reply(ctx, offer) }
	case n.outstanding:
	case n.changed:
		n.target = n.want
		return n.offer
	}
	if answer != "" && !n.outstanding {
		n.drop("media: answer to no offer")
	}
	n.running = false
	return nil
}

// offer makes the next offer towards what is wanted: without what is not, and with
// one new stream at most, as what is said of a stream is for the next that comes.
func (n *negotiation) offer(ctx context.Context) error {
	want := n.target
	media, ok := n.link.half().(MediaLink)
	if !ok {
		n.settled()
		return errors.New("the transport carries no media")
	}
	next := slices.DeleteFunc(slices.Clone(n.have), func(s *Stream) bool { return !slices.Contains(want, s) })
	removed := len(next) < len(n.have)
	var added *Stream
	if i := slices.IndexFunc(want, func(s *Stream) bool { return !slices.Contains(next, s) }); i >= 0 {
		added = want[i]
		next = append(next, added)
	}
	if added == nil && !removed {
		n.settled()
		return nil
	}
	sdp, err := media.Describe(ctx, next)
	if err != nil {
		n.settled()
		return err
	}
	n.outstanding, n.offered = true, next
	n.expectAnswer()
	if added != nil && added.meta != nil {
		// In one lane, so that they keep their order.
		if err := n.say(ChannelStream, added.meta); err != nil {
			return err
		}
	}
	return n.describe("offer", sdp)
}

func (n *negotiation) expectAnswer() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return
	}
	n.round++
	round := n.round
	n.timer = n.link.room.node.clock.AfterFunc(answerTime, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.late = round
		n.wake()
	})
}

// complete takes the answer to our offer.
func (n *negotiation) complete(ctx context.Context, answer string) error {
	n.answered()
	refused, err := n.link.half().(MediaLink).Complete(ctx, answer)
	if err != nil {
		n.settled()
		return err
	}
	n.have, n.unanswered = n.offered, 0
	for _, t := range refused {
		n.drop("media: peer has not the codec")
		n.link.room.log.Info("a peer cannot take a track", "peer", n.link.pair.remote, "codec", t.Codec())
	}
	return nil
}

// timeout withdraws an offer that was not answered, and makes it again, or gives
// up.
func (n *negotiation) timeout(context.Context) error {
	n.answered()
	n.unanswered++
	n.drop("media: offer not answered")
	if n.unanswered >= maxOffers {
		n.link.room.log.Info("a peer does not answer offers of media", "peer", n.link.pair.remote, "offers", n.unanswered)
		n.settled()
	}
	n.link.half().(MediaLink).Rollback()
	return nil
}

// ignore is the end of an offer in a glare that we win, as whose offer opened the
// link: its sender withdraws it.
func (n *negotiation) ignore(context.Context) error {
	n.drop("media: glare, ours stands")
	return nil
}

// reply answers an offer, so that no browser waits for it. Ours, if one is under
// way, is withdrawn, and made again afterwards.
func (n *negotiation) reply(ctx context.Context, offer string) error {
	if n.outstanding {
		n.answered()
		n.drop("media: glare, theirs stands")
		n.link.half().(MediaLink).Rollback()
	}
	sdp, err := n.link.half().Renegotiate(ctx, offer)
	if err != nil {
		return err
	}
	return n.describe("answer", sdp)
}

// answered ends the waiting for an answer.
func (n *negotiation) answered() {
	n.outstanding = false
	n.mu.Lock()
	defer n.mu.Unlock()
	n.round++ // whatever its timer says
	n.timer()
}

// settled notes that all that was worked towards was offered, or will not be.
func (n *negotiation) settled() {
	n.unanswered = 0
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Equal(n.want, n.target) {
		n.changed = false
	}
}

// describe sends a description.
func (n *negotiation) describe(typ, sdp string) error {
	b, err := json.Marshal(description{typ, sdp})
	if err != nil {
		return err
	}
	return n.say(channelSignal, b)
}

// say sends JSON on an internal channel, in the lane of descriptions.
func (n *negotiation) say(channel string, b []byte) error {
	frames, err := frame.Encode(channel, n.link.pair.h.nextNonce(channel), Content{Kind: JSON, Data: b})
	if err != nil {
		return err
	}
	return n.link.out.put(channelSignal, &outgoing{frames: frames})
}

func (n *negotiation) drop(reason string) { n.link.room.node.counters.drop(reason) }
