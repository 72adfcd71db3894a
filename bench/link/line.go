package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// note is what the two processes of a link tell each other, as a line of JSON
// on their pipes.
type note struct {
	Signal *engine.Signal `json:",omitempty"` // ours
	SDP    string         `json:",omitempty"` // raw
	Done   bool           `json:",omitempty"` // the receiver has everything
}

// line is a process's end of the pipes to the other process.
type line struct {
	mu  sync.Mutex
	out *json.Encoder
	in  *json.Decoder
}

func newLine(in io.Reader, out io.Writer) *line {
	return &line{out: json.NewEncoder(out), in: json.NewDecoder(bufio.NewReader(in))}
}

func (l *line) tell(n note) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.out.Encode(n); err != nil {
		return fmt.Errorf("tell the other process: %w", err)
	}
	return nil
}

func (l *line) hear() (n note, err error) {
	if err := l.in.Decode(&n); err != nil {
		return n, fmt.Errorf("hear the other process: %w", err)
	}
	return n, nil
}

// signaling is the engine's signaling over a line: to the one other process.
type signaling struct {
	line    *line
	deliver func(engine.Signal)
}

// Open implements engine.Signaling.
func (s *signaling) Open(_, _ string, deliver func(engine.Signal)) (engine.SignalingRoom, error) {
	s.deliver = deliver
	return s, nil
}

// publish sends a signal. An error is the other process's end.
func (s *signaling) publish(sig engine.Signal) {
	sig.Relay, sig.Author = "line", sig.From
	_ = s.line.tell(note{Signal: &sig})
}

func (s *signaling) Host(string)   {}
func (s *signaling) Unhost(string) {}
func (s *signaling) Close()        {}

func (s *signaling) Announce(peer, typ string) {
	s.publish(engine.Signal{Kind: engine.Announce, From: peer, Type: typ})
}

func (s *signaling) Bye(peer string) { s.publish(engine.Signal{Kind: engine.Bye, From: peer}) }

func (s *signaling) Offer(_, from, to, typ, sdp string) {
	s.publish(engine.Signal{Kind: engine.Offer, From: from, To: to, Type: typ, SDP: sdp})
}

func (s *signaling) Answer(_, from, to, typ, sdp string) {
	s.publish(engine.Signal{Kind: engine.Answer, From: from, To: to, Type: typ, SDP: sdp})
}
