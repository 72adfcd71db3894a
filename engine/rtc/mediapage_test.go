package rtc_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// hurried is a clock whose timers take a tenth of their time.
type hurried struct{ engine.SystemClock }

func (c hurried) AfterFunc(d time.Duration, f func()) func() {
	return c.SystemClock.AfterFunc(d/10, f)
}

// stage is a room with its node and a seat.
type stage struct {
	net  *memnet.Network
	node *engine.Node
	room *engine.Room
	seat *engine.Attachment
}

func newStage(t *testing.T, limits engine.Limits) *stage {
	t.Helper()
	s := &stage{net: memnet.New()}
	s.node = engine.New(engine.Config{
		Signaling: s.net.Endpoint("server"), Transport: transport(t), Clock: hurried{},
		Limits: limits, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := s.node.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var err error
	if s.room, err = s.node.Open(engine.RoomConfig{Name: "demo", Identity: engine.IdentityServer}); err != nil {
		t.Fatal(err)
	}
	s.seat, _, err = s.room.Join(t.Context(), engine.SeatConfig{Identity: engine.IdentityServer})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// dropped waits until something was counted.
func (s *stage) dropped(t *testing.T, reason string, n uint64) {
	t.Helper()
	until(t, reason, func() bool { return s.node.Stats().Dropped[reason] >= n })
}

// camera is a publisher, connected with a receiver that forwards what comes.
type camera struct {
	forwards []engine.Track
	from, to *webrtc.PeerConnection
	stop     chan struct{}
	wg       sync.WaitGroup
	plis     atomic.Int64
	bytes    *rate.Limiter // that may pass; nil: any

	packets, dropped atomic.Uint64
}

// WritePLI implements rtc.Publisher.
func (c *camera) WritePLI(track *webrtc.TrackRemote) error {
	return c.to.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
}

// Allow implements rtc.Publisher.
func (c *camera) Allow(bytes int) bool {
	c.packets.Add(1)
	ok := c.bytes == nil || c.bytes.AllowN(time.Now(), bytes)
	if !ok {
		c.dropped.Add(1)
	}
	return ok
}

// newCamera sends tracks of the given codecs until the test ends.
func newCamera(t *testing.T, stream string, mimes ...string) *camera {
	t.Helper()
	return newCameraAt(t, nil, stream, mimes...)
}

// newCameraAt is newCamera with a bound of bytes.
func newCameraAt(t *testing.T, bytes *rate.Limiter, stream string, mimes ...string) *camera {
	t.Helper()
	c := &camera{from: browser(t), to: browser(t), stop: make(chan struct{}), bytes: bytes}
	t.Cleanup(func() { close(c.stop); c.from.Close(); c.to.Close(); c.wg.Wait() })
	forwards := make(chan *rtc.Forward, len(mimes))
	c.to.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		f, err := rtc.NewForward(c, track, stream)
		if err != nil {
			t.Error(err)
			return
		}
		forwards <- f
		if err := f.Run(); err != nil {
			t.Error(err)
		}
	})
	for _, mime := range mimes {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, "track-"+mime[6:], "cam")
		if err != nil {
			t.Fatal(err)
		}
		sender, err := c.from.AddTrack(track)
		if err != nil {
			t.Fatal(err)
		}
		c.wg.Go(func() { c.play(track) })
		c.wg.Go(func() {
			for {
				packets, _, err := sender.ReadRTCP()
				if err != nil {
					return
				}
				for _, p := range packets {
					if _, ok := p.(*rtcp.PictureLossIndication); ok {
						c.plis.Add(1)
					}
				}
			}
		})
	}
	offer := offerOf(t, c.from)
	if err := c.to.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		t.Fatal(err)
	}
	accept(t, c.from, answerOf(t, c.to))
	for range mimes {
		c.forwards = append(c.forwards, <-forwards)
	}
	return c
}

func (c *camera) play(track *webrtc.TrackLocalStaticSample) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
			_ = track.WriteSample(media.Sample{Data: []byte{0x10, 1, 2, 3}, Duration: 10 * time.Millisecond})
		}
	}
}

func answerOf(t *testing.T, pc *webrtc.PeerConnection) string {
	t.Helper()
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	return pc.LocalDescription().SDP
}

// viewer is a page with media: it makes the offer of its link, as browsers do,
// and answers offers on it, or crosses them with its own.
type viewer struct {
	t     *testing.T
	sig   engine.SignalingRoom
	pc    *webrtc.PeerConnection
	dc    *webrtc.DataChannel
	open  chan struct{}
	deaf  atomic.Bool // answers no offers
	nonce byte
	asm   *frame.Reassembler

	over    atomic.Bool // the test is
	spoils  atomic.Bool // its answers cannot be read
	mu      sync.Mutex
	peer    string
	heard   []string          // "meta ...", "offer", "answer", in order
	packets map[string]uint64 // by stream id and track kind
}

func newViewer(t *testing.T, s *stage, id string) *viewer {
	t.Helper()
	return newViewerWith(t, s, id, browser(t))
}

func newViewerWith(t *testing.T, s *stage, id string, pc *webrtc.PeerConnection) *viewer {
	t.Helper()
	v := &viewer{t: t, pc: pc, open: make(chan struct{}), asm: frame.NewReassembler(frame.Limits{}), packets: map[string]uint64{}}
	v.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			v.mu.Lock()
			v.packets[track.StreamID()+" "+track.Kind().String()]++
			v.mu.Unlock()
		}
	})
	var err error
	if v.dc, err = pc.CreateDataChannel("data", nil); err != nil {
		t.Fatal(err)
	}
	v.dc.OnOpen(func() { close(v.open) })
	v.dc.OnMessage(func(m webrtc.DataChannelMessage) { v.frame(m.Data) })
	offer := offerOf(t, pc)
	ready := make(chan struct{})
	v.sig, err = s.net.Endpoint(id).Open(engine.AppRoom("demo"), "", func(sig engine.Signal) {
		<-ready
		v.mu.Lock()
		defer v.mu.Unlock()
		switch {
		case sig.Kind == engine.Announce && v.peer == "":
			v.peer = sig.From
			v.sig.Offer("", id, sig.From, "", offer)
		case sig.Kind == engine.Answer:
			if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sig.SDP}); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	t.Cleanup(func() { v.over.Store(true); v.sig.Close() })
	v.sig.Host(id)
	v.sig.Announce(id, "")
	await(t, "link of "+id, v.open)
	return v
}

func (v *viewer) frame(b []byte) {
	m, _, err := v.asm.Push(b)
	if err != nil || m == nil {
		return
	}
	switch m.Channel {
	case "@_ping":
		v.say("@_pong", engine.Content{})
	case "@_stream":
		v.note("meta " + string(m.Content.Data))
	case "@_signal":
		var d struct{ Type, SDP string }
		if err := json.Unmarshal(m.Content.Data, &d); err != nil {
			v.t.Error(err)
			return
		}
		v.note(d.Type)
		if !strings.Contains(d.SDP, "a=rtpmap") {
			v.t.Errorf("a browser does not heed a description without a=rtpmap:\n%s", d.SDP)
		}
		v.described(d.Type, d.SDP)
	}
}

func (v *viewer) note(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = append(v.heard, what)
}

// described does as a page that offered the link: in a glare its offer stands.
func (v *viewer) described(typ, sdp string) {
	var err error
	switch {
	case typ == "answer":
		err = v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp})
	case v.deaf.Load() || v.pc.SignalingState() != webrtc.SignalingStateStable:
	default:
		err = v.answer(sdp)
	}
	if err != nil && !v.over.Load() {
		v.t.Error(err)
	}
}

func (v *viewer) answer(offer string) error {
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return err
	}
	answer, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := v.pc.SetLocalDescription(answer); err != nil {
		return err
	}
	sdp := v.pc.LocalDescription().SDP
	if v.spoils.Load() {
		sdp = strings.ReplaceAll(sdp, "/90000", "/x")
	}
	v.signal("answer", sdp)
	return nil
}

func (v *viewer) signal(typ, sdp string) {
	b, err := json.Marshal(map[string]string{"type": typ, "sdp": sdp})
	if err != nil {
		v.t.Error(err)
	}
	v.say("@_signal", engine.Content{Kind: engine.JSON, Data: b})
}

func (v *viewer) say(channel string, c engine.Content) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nonce++
	frames, err := frame.Encode(channel, v.nonce, c)
	if err != nil {
		v.t.Error(err)
	}
	for _, f := range frames {
		if err := v.dc.Send(f); err != nil && !v.over.Load() {
			v.t.Error(err)
		}
	}
}

func (v *viewer) got(key string) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.packets[key]
}

func (v *viewer) story() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.heard, ", ")
}

// sees waits for packets that come from now on.
func (v *viewer) sees(key string) {
	v.t.Helper()
	before := v.got(key)
	until(v.t, "packets of "+key, func() bool { return v.got(key) > before+3 })
}
