package session

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// What follows is for sessions and for those who speak the messages of the protocol
// without one: package handler does, in Server-Sent Events and POST.

// EncodeMessage is the `message` that a room's message is in a codec's encoding.
// Callers share the bytes with each other and with sessions: they must not be
// changed.
func EncodeMessage(c Codec, m *engine.Message) []byte {
	return m.Encodings.Get(c.slot(), func() []byte {
		return c.Encode(&Message{Op: OpMessage, Seq: m.Seq, Channel: m.Channel, From: m.From, Content: m.Content, Recent: m.History})
	})
}

// EncodePeer is the `peer` message that a change of a peer is. Its bytes are shared
// as those of EncodeMessage are.
func EncodePeer(c Codec, e engine.PeerEvent) []byte {
	return e.Encodings.Get(c.slot(), func() []byte {
		return c.Encode(&Message{Op: OpPeer, Event: changes[e.Change], Peer: e.Peer.ID, Type: e.Peer.Type})
	})
}

var changes = map[engine.PeerChange]string{
	engine.PeerJoin:  "join",
	engine.PeerLeave: "leave",
	engine.PeerSeen:  "seen",
	engine.PeerLost:  "lost",
}

// ReadJSON reads the field `data` of a message as the JSON encoding has it, with
// its rules of $bin and $map (docs/gateway.md, "Encoding details"). Its errors say
// what is wrong with the text.
func ReadJSON(text []byte) (engine.Content, error) {
	if !utf8.Valid(text) {
		return engine.Content{}, errNotUTF8
	}
	dec := newJSONDecoder(text)
	value, err := dec.ReadValue()
	switch {
	case errors.Is(err, io.EOF):
		return engine.Content{}, errors.New("not valid JSON: there is nothing")
	case err != nil:
		return engine.Content{}, fmt.Errorf("not valid JSON: %w", err)
	}
	content, err := readJSONData(value, jsontext.Value(value).Kind())
	if err != nil {
		return engine.Content{}, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return engine.Content{}, errors.New("not valid JSON: more than one value")
	}
	return content, nil
}

// Reason is the field `error` of a result, for why a recipient was not reached.
func Reason(err error) string { return reason(err) }
