package client

import (
	"encoding/json"
	"fmt"
)

// State is what another process needs to go on with a session. It is to be kept
// as JSON, and as a secret: Resume is the session's token.
//
// When to save it, for a process that may be killed at any time:
//
//   - once after Dial, for the token;
//   - after dealing with a message and before the next Receive (or Ack), with
//     Received set to the message's Seq, best together with what the message
//     changed. What is saved then is not delivered again; what is not, is;
//   - sends need no saving if the application knows what it sent: their seqs
//     count up by one from Next, and after Dial all sends up to Room.Acked are
//     with the server, also those that no State knew of. Where it does not
//     know, it saves after Send; then Sends has what is to be sent again.
//     Sends that were made after the last save and reached no server are lost
//     with the process.
//
// Transfers are not part of it: see Room.SendReader and Sink.
type State struct {
	// Resume is the token of the session.
	Resume string `json:"resume"`
	// Received is the seq of the last message that was dealt with.
	Received uint64 `json:"received"`
	// Next is the seq of the next send.
	Next uint64 `json:"next"`
	// Sends are those that are not acknowledged, in order.
	Sends []json.RawMessage `json:"sends,omitempty"`
}

// State is the session's state now.
func (r *Room) State() (State, error) {
	r.mu.Lock()
	s := State{Resume: r.token, Received: r.in.taken, Next: r.out.next}
	waiting := append([]pending(nil), r.out.waiting...)
	r.mu.Unlock()
	for _, p := range waiting {
		raw := json.RawMessage(p.raw)
		if r.codec != (jsonCodec{}) {
			f, err := r.codec.decode(p.raw)
			if err == nil {
				raw, err = jsonCodec{}.encode(f)
			}
			if err != nil {
				return State{}, fmt.Errorf("client: state of send %d: %w", p.seq, err)
			}
		}
		s.Sends = append(s.Sends, raw)
	}
	return s, nil
}

// restore begins with what another process left.
func (r *Room) restore(s *State) error {
	if s == nil {
		return nil
	}
	r.token = s.Resume
	r.in.received, r.in.taken, r.in.acked = s.Received, s.Received, s.Received
	for _, raw := range s.Sends {
		f, err := jsonCodec{}.decode(raw)
		if err != nil {
			return fmt.Errorf("client: state: %w", err)
		}
		b, err := r.codec.encode(f)
		if err != nil {
			return fmt.Errorf("client: state: %w", err)
		}
		r.out.add(pending{f.Seq, b})
		r.out.next = max(r.out.next, f.Seq+1)
		r.out.ever = max(r.out.ever, f.Seq)
	}
	r.out.next = max(r.out.next, s.Next)
	return nil
}
