package handler

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/pion/webrtc/v4"
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
