package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Cause names why the server's peer has no link with a remote one, or that it has.
type Cause string

// Causes, in the order in which they are looked for.
const (
	CauseLinked   Cause = "linked"      // there is a link
	CauseUnseen   Cause = "unseen"      // nothing was heard of it
	CauseKicked   Cause = "kicked"      // an operator keeps it out
	CauseGone     Cause = "gone"        // it said goodbye
	CauseNoRole   Cause = "no_role"     // the cells have no link for the two
	CauseFull     Cause = "full"        // the process has too many links
	CauseOpening  Cause = "opening"     // an attempt is under way
	CauseHoldOff  Cause = "hold_off"    // the last link ended a moment ago
	CauseSDP      Cause = "description" // a description was refused
	CausePath     Cause = "path"        // ICE found no way between the two
	CauseSecurity Cause = "security"    // DTLS or SCTP did not get through
	CauseSilent   Cause = "silent"      // it does not answer our offer
	CauseNoOffer  Cause = "no_offer"    // it is heard, but makes no offer
	CauseLost     Cause = "lost"        // the link ended, for the reason given
)

// Why is what is known of the way to a remote peer. Times are zero for what did not
// happen, and of the last try.
type Why struct {
	Cause    Cause
	Seen     time.Time // the last sign of life
	Type     string    // as it says itself
	Offered  time.Time // by it, over Relay
	Dialed   time.Time // by us
	Answered time.Time // by us, or by it
	Opened   time.Time
	Ended    time.Time
	Relay    string
	// Candidates counts the candidates of its description by type (RFC 8839), those
	// whose address only its own network resolves as "mdns".
	Candidates map[string]int
	Stage      string // that the last try had come to, as Link.Stage tells
	Reason     string // why it ended
	Mixed      bool   // the room has peers with cells and without
}

// trace is what a pair remembers of the way to its peer.
type trace struct {
	offered, dialed, answered, opened, ended time.Time
	relay, stage                             string
	reason                                   error
	before                                   Cause // of the try before, while another is under way
	candidates                               map[string]int
}

// Staged is a Link that can tell how far it has come, in words.
type Staged interface {
	// Stage is "ice", "dtls", "channel" or "open".
	Stage() string
}

// begin notes a try; s is the offer that is answered, nil for one of ours.
func (t *trace) begin(s *Signal, now time.Time) {
	old := *t
	*t = trace{offered: old.offered, reason: old.reason, stage: old.stage}
	if !old.ended.IsZero() {
		t.before = old.cause()
	}
	if s == nil {
		t.dialed = now
		return
	}
	t.relay, t.candidates = s.Relay, candidateTypes(s.SDP)
}

// end notes the end of a try or of a link.
func (t *trace) end(l *link, err error, now time.Time) {
	t.ended, t.reason = now, err
	if stage := l.stage.Load(); stage != nil {
		t.stage = *stage
	}
}

// candidateTypes counts the candidates of a session description.
func candidateTypes(sdp string) map[string]int {
	types := make(map[string]int)
	for line := range strings.Lines(sdp) {
		// a=candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type> …
		fields := strings.Fields(strings.TrimPrefix(line, "a="))
		if len(fields) < 8 || !strings.HasPrefix(fields[0], "candidate:") || fields[6] != "typ" {
			continue
		}
		switch typ := fields[7]; {
		case strings.HasSuffix(fields[4], ".local"):
			types["mdns"]++
		case typ == "host", typ == "srflx", typ == "prflx", typ == "relay":
			types[typ]++
		}
	}
	return types
}

// Why tells what is between the server's peer and a remote one. It fails with
// ErrClosed.
func (r *Room) Why(id string) (w Why, err error) {
	if !r.ask(func() { w = r.why(id) }) {
		return w, ErrClosed
	}
	return w, nil
}

func (r *Room) why(id string) Why {
	w := Why{Mixed: r.mesh.mixed}
	rem, p := r.remotes[id], r.server.pairs[id]
	if rem != nil {
		w.Seen, w.Type = rem.seen, rem.typ
	}
	if p != nil {
		t := &p.trace
		w.Offered, w.Dialed, w.Answered, w.Opened, w.Ended = t.offered, t.dialed, t.answered, t.opened, t.ended
		w.Relay, w.Candidates, w.Stage = t.relay, t.candidates, t.stage
		if t.reason != nil {
			w.Reason = t.reason.Error()
		}
	}
	w.Cause = r.cause(id, rem, p)
	return w
}

func (r *Room) cause(id string, rem *remote, p *pair) Cause {
	limits := r.node.limits.Load()
	switch {
	case p != nil && p.live != nil:
		return CauseLinked
	case r.isKicked(id):
		return CauseKicked
	case rem == nil && (p == nil || p.trace.ended.IsZero()):
		return CauseUnseen
	case rem == nil || rem.gone:
		return CauseGone
	case !r.keeps(r.server, id):
		return CauseNoRole
	case p == nil:
		return CauseNoOffer
	case p.attempt == nil && (r.node.links.Load() >= int64(limits.Links) || r.node.handshakes.Load() >= int64(limits.Handshakes)):
		return CauseFull
	case p.offer != nil && r.now().Before(p.notBefore):
		return CauseHoldOff
	case p.trace.ended.IsZero() && p.trace.before != "":
		return p.trace.before
	case p.trace.ended.IsZero() && p.attempt != nil:
		return CauseOpening
	case p.trace.ended.IsZero():
		return CauseNoOffer
	}
	return p.trace.cause()
}

// cause is why the last try ended.
func (t *trace) cause() Cause {
	switch {
	case !t.opened.IsZero():
		return CauseLost
	case !t.dialed.IsZero() && t.answered.IsZero():
		return CauseSilent
	case t.answered.IsZero():
		return CauseSDP
	case t.stage == "dtls", t.stage == "channel":
		return CauseSecurity
	case errors.Is(t.reason, errAbandoned):
		return CauseOpening
	}
	return CausePath
}

// Explain says what a cause means, and what to do about it, to an operator.
func (w *Why) Explain() string {
	switch w.Cause {
	case CauseLinked:
		return "there is a link"
	case CauseUnseen:
		return "nothing was heard of this peer for a minute: it is not there or has left, or it uses another database name, or no relay in common with this server"
	case CauseKicked:
		return "an operator has kicked it; it is let in when the time is over"
	case CauseGone:
		return "it has said goodbye"
	case CauseNoRole:
		if w.Mixed {
			return "the room is a cellular mesh in which the two have no link, and some of its peers use no cells: give all apps the same option cells, or set it for the room"
		}
		return "the room is a cellular mesh in which the two have no link: they hear each other through others"
	case CauseFull:
		return "this server has as many links as it takes, or as may be opening at once: wait, or raise its limits"
	case CauseOpening:
		return "a link is opening"
	case CauseHoldOff:
		return "the last link ended a moment ago: a page must not be linked again for 20 s"
	case CauseSDP:
		return "its description, or ours, was refused: " + w.Reason
	case CausePath:
		advice := "ICE found no way to it: the server's UDP port must be open and its public_ip known"
		if len(w.Candidates) > 0 && w.Candidates["relay"] == 0 {
			advice += "; the peer named no relayed candidate: if its network blocks UDP, it needs a TURN server"
		}
		return advice
	case CauseSecurity:
		return fmt.Sprintf("ICE found a way, but %s did not get through: something on the way drops larger packets, or the other end has given up", w.Stage)
	case CauseSilent:
		return "it announces itself, but does not answer our offer: its page is suspended, has no relay that carries our offers, or uses another password"
	case CauseNoOffer:
		return "it announces itself, but has made no offer yet: browsers do so at once when they hear this server, and after 20 s the server offers itself. If that does not help, its offers may be sealed with another password, or its relays do not carry what this server announces"
	case CauseLost:
		return "there was a link, which has ended: " + w.Reason
	}
	return string(w.Cause)
}
