package rtc_test

import (
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// However many viewers want a keyframe, their publisher is asked once a second.
func TestKeyframesAreAskedForOnceASecond(t *testing.T) {
	c := newCamera(t, "one", webrtc.MimeTypeVP8)
	f := c.forwards[0].(*rtc.Forward)
	began := time.Now()
	for range 3 {
		asked := c.plis.Load()
		until(t, "a request", func() bool { f.WantKeyframe(); return c.plis.Load() > asked })
	}
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("three requests within %v", took)
	}
}

// What a publisher sends beyond its bound does not pass, and is counted.
func TestBitrateIsBounded(t *testing.T) {
	s := newStage(t, engine.Limits{})
	v := newViewer(t, s, "Alice")
	const packet = 16 // bytes, with header
	c := newCameraAt(t, rate.NewLimiter(20*packet, 10*packet), "one", webrtc.MimeTypeVP8)
	publish(t, s, "", c)
	v.sees("one video")
	until(t, "drops", func() bool { return c.dropped.Load() > 20 })
	if got, passed := v.got("one video"), c.packets.Load()-c.dropped.Load(); got > passed+5 {
		t.Errorf("%d packets came, %d passed", got, passed)
	}
}
