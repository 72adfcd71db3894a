package browser

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/gobwas/ws"
	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// payload is the message of a frame whose masking key is zero.
func payload(t *testing.T, frame []byte) []byte {
	r := bytes.NewReader(frame)
	h, err := ws.ReadHeader(r)
	if err != nil || !h.Masked || h.OpCode != ws.OpText {
		t.Fatalf("header %+v, %v", h, err)
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != h.Length {
		t.Fatalf("%d bytes of %d, %v", len(b), h.Length, err)
	}
	return b
}

func TestEventIsValid(t *testing.T) {
	topic, at := signaling.RootTopic("room"), time.Unix(1_700_000_000, 0)
	made, err := NewEvent(nostr.GeneratePrivateKey(), topic, `{"peerId":"P"}`, at)
	if err != nil {
		t.Fatal(err)
	}
	env, ok := nostr.ParseMessage(payload(t, made.Frame)).(*nostr.EventEnvelope)
	if !ok {
		t.Fatalf("not an EVENT: %s", payload(t, made.Frame))
	}
	ev := env.Event
	if valid, err := ev.CheckSignature(); !valid || !ev.CheckID() || ev.ID != made.ID {
		t.Errorf("invalid: %v", err)
	}
	if ev.CreatedAt != 1_700_000_000 || ev.Kind != signaling.Kind(topic) || ev.Tags.GetFirst([]string{"x", topic}) == nil {
		t.Errorf("%+v", ev)
	}
}

func TestSubscriptionMatches(t *testing.T) {
	topic, now := signaling.RootTopic("room"), time.Now()
	req, ok := nostr.ParseMessage(payload(t, Subscribe(topic, now))).(*nostr.ReqEnvelope)
	if !ok || len(req.SubscriptionID) != 64 || len(req.Filters) != 1 {
		t.Fatalf("REQ %+v", req)
	}
	ev := nostr.Event{Kind: signaling.Kind(topic), Tags: nostr.Tags{{"x", topic}}, CreatedAt: nostr.Timestamp(now.Unix())}
	if !req.Filters[0].Matches(&ev) {
		t.Errorf("%v does not match %v", req.Filters[0], ev)
	}
}
