package handler

import (
	"bytes"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// The tracks of a session are a stream of the room, until it ends.
func TestCameraIsAStreamOfTheRoom(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := newVisitor(s)
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	offer := v.offer()
	const path = demoWHIP + "?meta="
	for _, meta := range []string{"", "{", "no%20JSON"} {
		if res, _ := s.ask("POST", path+meta, offer, "Content-Type", typeSDP); res.StatusCode != http.StatusBadRequest {
			t.Errorf("meta %q: %s", meta, res.Status)
		}
	}
	v.answer(s.ask("POST", path+url.QueryEscape(`{"label":"cam"}`), offer, "Content-Type", typeSDP))
	play(t, track, func() bool { return s.room.Stats().Streams == 1 })
	if res, _ := s.ask("DELETE", v.location, ""); res.StatusCode != http.StatusNoContent {
		t.Error(res.Status)
	}
	eventually(t, "the stream ends", func() bool { return s.room.Stats().Streams == 0 })
}

// Who may not publish media has a session, but no camera.
func TestMediaTakeCredentials(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: bytes.Repeat([]byte("k"), 32), Audience: "demo"}
	tokens, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var published atomic.Int64
	s := serveWHIP(t, Config{
		Settings: Settings{Auth: Auth{Tokens: tokens}},
		Media:    func(*engine.Room, *engine.Attachment, *rtc.Guest) { published.Add(1) },
	})
	for want, publish := range [][]string{{"chat"}, {engine.ChannelStream}} {
		token, err := admission.Mint(cfg, admission.Claims{Publish: publish, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		v := newVisitor(s).data()
		if _, err := v.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
		v.post("Authorization", "Bearer "+token)
		v.until("open", v.opened)
		v.say(`{"op":"hello"}`)
		v.hear("welcome")
		if n := published.Load(); n != int64(want) {
			t.Errorf("publish %v: %d published", publish, n)
		}
	}
}

// A camera for which the room has no place is counted, and told of.
func TestCameraWithoutASeat(t *testing.T) {
	told := make(chan Refused, 1)
	s := serveWHIP(t, Config{Refused: func(r Refused) { told <- r }})
	s.enter()
	s.node.SetLimits(engine.Limits{SeatsPerRoom: 1})
	v := newVisitor(s)
	if _, err := v.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	v.post()
	eventually(t, "it is counted", func() bool { return s.h.Stats().Refused["room_full"] == 1 })
	if r := <-told; r.Reason != "room_full" || r.Room != "demo" {
		t.Errorf("told %+v", r)
	}
}
