package rtc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

func publish(t *testing.T, s *stage, meta string, c *camera) *engine.Stream {
	t.Helper()
	cfg := engine.StreamConfig{Tracks: c.forwards}
	if meta != "" {
		cfg.Meta = []byte(meta)
	}
	stream, err := s.seat.Publish(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// sections tells what the media sections of a viewer's last remote description say.
func sections(v *viewer) string {
	var list []string
	for _, section := range strings.Split(v.pc.RemoteDescription().SDP, "\r\nm=")[1:] {
		for _, line := range strings.Split(section, "\r\n") {
			switch line {
			case "a=sendonly", "a=inactive", "a=sendrecv", "a=recvonly":
				if !strings.HasPrefix(section, "application ") {
					list = append(list, line[2:])
				} else if line != "a=sendrecv" {
					v.t.Errorf("the data channel's section says %s", line)
				}
			}
		}
	}
	return strings.Join(list, " ")
}

// A stream reaches who is there and who comes later, with what is said of it
// first, and is gone for both when it is closed.
func TestStreamReachesPages(t *testing.T) {
	s := newStage(t, engine.Limits{})
	first := newViewer(t, s, "Alice")
	stream := publish(t, s, `{"label":"cam"}`, newCamera(t, "one", webrtc.MimeTypeVP8, webrtc.MimeTypeOpus))
	first.sees("one video")
	first.sees("one audio")
	late := newViewer(t, s, "Bob")
	late.sees("one video")
	late.sees("one audio")
	for _, v := range []*viewer{first, late} {
		if got := v.story(); got != `meta {"label":"cam"}, offer` {
			t.Errorf("heard %s", got)
		}
	}
	stream.Close()
	stream.Close()
	for _, v := range []*viewer{first, late} {
		until(t, "the end of the stream", func() bool { return strings.HasSuffix(v.story(), "offer, offer") && sections(v) == "inactive inactive" })
	}
	// The sections are used again.
	again := publish(t, s, "", newCamera(t, "two", webrtc.MimeTypeVP8))
	first.sees("two video")
	if got := sections(first); len(strings.Fields(got)) != 2 || strings.Count(got, "sendonly") != 1 {
		t.Errorf("the sections are %s", got)
	}
	again.Close()
	if n := s.room.Stats().Streams; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// Two streams come one after the other, as what is said of a stream is for the next
// that comes; and both go with the seat.
func TestStreamsGoWithTheirSeat(t *testing.T) {
	s := newStage(t, engine.Limits{})
	publish(t, s, `"a"`, newCamera(t, "one", webrtc.MimeTypeVP8))
	publish(t, s, `"b"`, newCamera(t, "two", webrtc.MimeTypeH264))
	v := newViewer(t, s, "Alice")
	v.sees("one video")
	v.sees("two video")
	if got := v.story(); got != `meta "a", offer, meta "b", offer` {
		t.Errorf("heard %s", got)
	}
	s.seat.Leave()
	until(t, "the end of the streams", func() bool { return sections(v) == "inactive inactive" })
	if _, err := s.seat.Publish(engine.StreamConfig{Tracks: newCamera(t, "three", webrtc.MimeTypeVP8).forwards}); err == nil {
		t.Error("a seat that left publishes")
	}
}

// Who does not answer is offered again, and then left alone; he still gets frames.
func TestPeerThatNeverAnswers(t *testing.T) {
	s := newStage(t, engine.Limits{})
	deaf, other := newViewer(t, s, "Alice"), newViewer(t, s, "Bob")
	deaf.deaf.Store(true)
	stream := publish(t, s, "", newCamera(t, "one", webrtc.MimeTypeVP8))
	other.sees("one video")
	s.dropped(t, "media: offer not answered", 3)
	stream.Close()
	until(t, "the end of the stream", func() bool { return sections(other) == "inactive" })
	// Later it answers again.
	deaf.deaf.Store(false)
	publish(t, s, "", newCamera(t, "two", webrtc.MimeTypeVP8))
	deaf.sees("two video")
}

// A page that has not the codec is told so in the log and the counters, and gets
// the tracks that it can take.
func TestPeerWithoutTheCodec(t *testing.T) {
	s := newStage(t, engine.Limits{})
	codecs := new(webrtc.MediaEngine)
	if err := codecs.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48_000, Channels: 2}, PayloadType: 96,
	}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	v := newViewerWith(t, s, "Alice", browserWith(t, codecs))
	stream := publish(t, s, "", newCamera(t, "one", webrtc.MimeTypeVP8, webrtc.MimeTypeOpus))
	v.sees("one audio")
	s.dropped(t, "media: peer has not the codec", 1)
	stream.Close()
	until(t, "the end of the stream", func() bool { return !strings.Contains(sections(v), "sendonly") })
}

// A page's own offer crosses ours: it made the link's offer, so that its stands,
// and ours comes again.
func TestGlare(t *testing.T) {
	s := newStage(t, engine.Limits{})
	v := newViewer(t, s, "Alice")
	v.deaf.Store(true)
	publish(t, s, "", newCamera(t, "one", webrtc.MimeTypeVP8))
	until(t, "our offer", func() bool { return v.story() == "offer" })
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "own", "own")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	v.deaf.Store(false)
	v.signal("offer", offerOf(t, v.pc))
	v.sees("one video")
	s.dropped(t, "media: glare, theirs stands", 1)
	if got := v.story(); got != "offer, answer, offer" {
		t.Errorf("heard %s", got)
	}
	// A late answer to the offer that was withdrawn harms nobody.
	v.signal("answer", v.pc.LocalDescription().SDP)
	s.dropped(t, "media: answer to no offer", 1)
	v.sees("one video")
}

func TestLimitsOfStreams(t *testing.T) {
	s := newStage(t, engine.Limits{Streams: 1, Tracks: 1})
	c := newCamera(t, "one", webrtc.MimeTypeVP8, webrtc.MimeTypeOpus)
	for name, cfg := range map[string]engine.StreamConfig{
		"no tracks":   {},
		"two tracks":  {Tracks: c.forwards},
		"no JSON":     {Tracks: c.forwards[:1], Meta: []byte("{")},
		"long":        {Tracks: c.forwards[:1], Meta: []byte(`"` + strings.Repeat("x", 17<<10) + `"`)},
		"empty value": {Tracks: c.forwards[:1], Meta: []byte{}},
	} {
		_, err := s.seat.Publish(cfg)
		want := engine.ErrStreamMeta
		if cfg.Meta == nil {
			want = engine.ErrTooManyTracks
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.seat.Publish(engine.StreamConfig{Tracks: c.forwards[:1]}); err != nil {
		t.Error(err)
	}
	if _, err := s.seat.Publish(engine.StreamConfig{Tracks: c.forwards[1:]}); !errors.Is(err, engine.ErrTooManyStreams) {
		t.Errorf("a second stream: %v", err)
	}
}

// An answer that cannot be taken ends the link: the offer is not to be had back.
func TestAnswerThatIsSpoiled(t *testing.T) {
	s := newStage(t, engine.Limits{})
	v := newViewer(t, s, "Alice")
	v.over.Store(true)
	v.spoils.Store(true)
	publish(t, s, "", newCamera(t, "one", webrtc.MimeTypeVP8))
	s.dropped(t, "media: description refused", 1)
	until(t, "the end of the link", func() bool { return !s.linked() })
}

// What a page sends beyond reason costs nothing, or itself.
func TestPageThatAsksForTooMuch(t *testing.T) {
	s := newStage(t, engine.Limits{})
	v := newViewer(t, s, "Alice")
	v.over.Store(true)
	v.signal("offer", strings.Repeat("m", 600<<10))
	s.dropped(t, "media: description too long", 1)
	v.signal("offer", "v=0\r\n"+strings.Repeat("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 129))
	s.dropped(t, "media: description refused", 1)
	if !s.linked() {
		t.Error("the link has ended")
	}
	for range 17 {
		if _, err := v.pc.CreateDataChannel("more", nil); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the end of the link", func() bool { return !s.linked() })
}

// linked tells whether no link has ended.
func (s *stage) linked() bool { return s.node.Stats().LinksClosed == 0 }

// A guest has so many tracks, early or late.
func TestGuestWithTooManyTracks(t *testing.T) {
	s, tr, pc := newStage(t, engine.Limits{}), transport(t), browser(t)
	var tracks []*webrtc.TrackLocalStaticSample
	for range 6 {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.AddTransceiverFromTrack(track); err != nil {
			t.Fatal(err)
		}
		tracks = append(tracks, track)
	}
	g, sdp, err := tr.Guest(t.Context(), offerOf(t, pc), "session")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	g.Publish(s.seat, nil, func(err error) { t.Error(err) })
	until(t, "two tracks too many", func() bool {
		for _, track := range tracks {
			if err := track.WriteSample(media.Sample{Data: make([]byte, 100), Duration: 20 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		}
		return s.node.Stats().Dropped["media: more tracks than its sender may have"] == 2
	})
	until(t, "a stream", func() bool { return s.room.Stats().Streams == 1 })
}
