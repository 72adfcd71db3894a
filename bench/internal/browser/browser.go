// Package browser makes the frames that a browser in a GenosRTC room sends to a
// relay (docs/protocol.md, "Signaling"), signed beforehand, so that a load costs
// no signatures while it is measured.
package browser

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

// Event is an EVENT message.
type Event struct {
	ID    string // of the event, 64 hexadecimal digits
	Frame []byte // for wsload.Conn.Send
}

// NewEvent signs an event on a topic with a key, as nostr.GeneratePrivateKey
// returns it.
func NewEvent(key, topic, content string, at time.Time) (Event, error) {
	ev := nostr.Event{
		CreatedAt: nostr.Timestamp(at.Unix()),
		Kind:      signaling.Kind(topic),
		Tags:      nostr.Tags{{"x", topic}},
		Content:   content,
	}
	if err := ev.Sign(key); err != nil {
		return Event{}, fmt.Errorf("signing an event: %w", err)
	}
	text, err := nostr.EventEnvelope{Event: ev}.MarshalJSON()
	if err != nil {
		return Event{}, fmt.Errorf("encoding an event: %w", err)
	}
	return Event{ID: ev.ID, Frame: wsload.Frame(text)}, nil
}

// Subscribe makes a REQ for what is said on a topic from a time on. Its id has
// 64 random characters.
func Subscribe(topic string, since time.Time) []byte {
	id := (rand.Text() + rand.Text() + rand.Text())[:64]
	text := fmt.Appendf(nil, `["REQ",%q,{"kinds":[%d],"since":%d,"#x":[%q]}]`, id, signaling.Kind(topic), since.Unix(), topic)
	return wsload.Frame(text)
}
