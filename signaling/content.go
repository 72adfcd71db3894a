package signaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

const (
	// maxContent bounds the content of an event in bytes: an envelope of
	// maxDescription and the fields around it.
	maxContent = 48 << 10
	maxType    = 64 // of what a remote peer says that it is, in bytes
)

var errContent = errors.New("not a signaling message")

// content is the JSON in an event's content (docs/protocol.md, "Signaling").
type content struct {
	kind     engine.SignalKind
	peer     string // the sender
	typ      string // the kind of peer that the sender declares, or ""
	envelope string // the sealed session description of an Offer or Answer
}

type description struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// encode returns the JSON text, with the fields in the order of the browsers.
// A bye says nothing of the type, as nobody asks who left.
func (c content) encode() (string, error) {
	message := struct {
		PeerID string       `json:"peerId"`
		Bye    int          `json:"bye,omitempty"`
		Offer  *description `json:"offer,omitempty"`
		Answer *description `json:"answer,omitempty"`
		Type   string       `json:"type,omitempty"`
	}{PeerID: c.peer, Type: c.typ}
	switch c.kind {
	case engine.Bye:
		message.Bye, message.Type = 1, ""
	case engine.Offer:
		message.Offer = &description{"offer", c.envelope}
	case engine.Answer:
		message.Answer = &description{"answer", c.envelope}
	}
	b, err := json.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("encoding a signaling message: %w", err)
	}
	return string(b), nil
}

// parseContent reads a content. Fields that it does not know are ignored, among
// them the "peer" object that browsers leak into their offers. The error is
// always errContent.
func parseContent(text string) (content, error) {
	if len(text) > maxContent {
		return content{}, errContent
	}
	// A map, because encoding/json matches the fields of a struct in any case,
	// and browsers do not.
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return content{}, errContent
	}
	c := content{kind: engine.Announce}
	if json.Unmarshal(fields["peerId"], &c.peer) != nil || !validName(c.peer, engine.MaxPeerID) {
		return content{}, errContent
	}
	if raw := fields["type"]; truthy(raw) {
		if json.Unmarshal(raw, &c.typ) != nil || !validName(c.typ, maxType) {
			return content{}, errContent
		}
	}
	offer, answer := fields["offer"], fields["answer"]
	switch {
	case truthy(offer) && truthy(answer):
		return content{}, errContent
	case truthy(offer):
		return c.withDescription(engine.Offer, offer, "offer")
	case truthy(answer):
		return c.withDescription(engine.Answer, answer, "answer")
	case truthy(fields["bye"]):
		c.kind = engine.Bye
	}
	return c, nil
}

func (c content) withDescription(kind engine.SignalKind, raw json.RawMessage, typ string) (content, error) {
	var fields map[string]json.RawMessage
	var d description
	if json.Unmarshal(raw, &fields) != nil ||
		json.Unmarshal(fields["type"], &d.Type) != nil || d.Type != typ ||
		json.Unmarshal(fields["sdp"], &d.SDP) != nil || d.SDP == "" {
		return content{}, errContent
	}
	c.kind, c.envelope = kind, d.SDP
	return c, nil
}

// truthy is JavaScript's idea of a value that is there.
func truthy(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

func validName(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s)
}
