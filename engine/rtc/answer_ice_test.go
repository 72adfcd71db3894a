package rtc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

const named = "candidate:1 1 udp 2122260223 camera.example 61764 typ host"

// A candidate with a host name is left out, wherever it stands (RFC 9725, section 4.3.2).
func TestCandidatesWithNames(t *testing.T) {
	tr, pc := transport(t), browser(t)
	if _, err := pc.CreateDataChannel("session", nil); err != nil {
		t.Fatal(err)
	}
	offer := strings.Replace(offerOf(t, pc), "a=setup:", "a="+named+"\r\na=setup:", 1)
	g, sdp, err := tr.Guest(t.Context(), offer, "session")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.AddCandidate(named); err != nil {
		t.Error(err)
	}
	accept(t, pc, sdp)
	await(t, "connected", g.Connected())
}

// An offer of simulcast is taken as one of its encodings.
func TestSimulcastOffer(t *testing.T) {
	tr, pc := transport(t), browser(t)
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	offer := offerOf(t, pc) + "a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"
	g, sdp, err := tr.Guest(t.Context(), offer, "session")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sdp, "a=simulcast") || strings.Contains(sdp, "a=rid") {
		t.Errorf("answered with\n%s", sdp)
	}
	arrived := make(chan struct{})
	g.OnTrack(func(*webrtc.TrackRemote, *webrtc.RTPReceiver) { close(arrived) })
	accept(t, pc, sdp)
	until(t, "the track", func() bool {
		if err := track.WriteSample(media.Sample{Data: make([]byte, 100), Duration: 20 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-arrived:
			return true
		default:
			return false
		}
	})
}

// The credentials of a restart that failed late are not those of the ICE session, so
// that the same again is a restart.
func TestRestartThatFailsLate(t *testing.T) {
	g, _, _ := guest(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 1000 { // what ends first is a matter of chance
		ufrag, pwd := fmt.Sprintf("user%d", i), strings.Repeat("p", 22)
		before, _ := g.Credentials()
		_, err := g.Restart(gone, ufrag, pwd, nil)
		now, _ := g.Credentials()
		if err == nil {
			if now != ufrag {
				t.Fatalf("after a restart: %q", now)
			}
			continue
		}
		if now != before {
			t.Fatalf("%v: %q became %q", err, before, now)
		}
		if !strings.Contains(err.Error(), "gather") {
			continue
		}
		if _, err := g.Restart(t.Context(), ufrag, pwd, nil); err != nil {
			t.Fatal(err)
		}
		if now, _ := g.Credentials(); now != ufrag {
			t.Errorf("after the second attempt: %q", now)
		}
		return
	}
	t.Fatal("no restart failed late")
}
