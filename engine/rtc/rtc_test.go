package rtc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func transport(t *testing.T) *rtc.Transport {
	t.Helper()
	tr, err := rtc.New(rtc.Config{UDP: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// end records what happens at one end of a link.
type end struct {
	opened, closed chan struct{}
	why            error
	writable       chan struct{}

	mu     sync.Mutex
	frames [][]byte
	junk   []engine.Junk
	got    chan struct{}
}

func newEnd() *end {
	return &end{opened: make(chan struct{}), closed: make(chan struct{}), writable: make(chan struct{}, 1), got: make(chan struct{}, 1)}
}

func (e *end) LinkOpen() { close(e.opened) }

func (e *end) LinkFrame(b []byte) {
	e.mu.Lock()
	e.frames = append(e.frames, bytes.Clone(b))
	e.mu.Unlock()
	e.notify()
}

func (e *end) LinkJunk(j engine.Junk) {
	e.mu.Lock()
	e.junk = append(e.junk, j)
	e.mu.Unlock()
	e.notify()
}

func (e *end) notify() {
	select {
	case e.got <- struct{}{}:
	default:
	}
}

func (e *end) LinkWritable() {
	select {
	case e.writable <- struct{}{}:
	default:
	}
}

func (e *end) LinkClosed(err error) { e.why = err; close(e.closed) }

// until waits until ok holds, looking whenever something arrived.
func (e *end) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		done := ok()
		e.mu.Unlock()
		if done {
			return
		}
		select {
		case <-e.got:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
}

// linked makes a link between two transports.
func linked(t *testing.T, offering, answering *rtc.Transport) (a, b engine.Link, ea, eb *end) {
	t.Helper()
	ea, eb = newEnd(), newEnd()
	a, offer, err := offering.Offer(t.Context(), ea)
	if err != nil {
		t.Fatal(err)
	}
	b, answer, err := answering.Answer(t.Context(), offer, eb)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Accept(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	await(t, "open at the offerer", ea.opened)
	await(t, "open at the answerer", eb.opened)
	return a, b, ea, eb
}

func TestFramesPassInOrder(t *testing.T) {
	a, b, ea, eb := linked(t, transport(t), transport(t))
	const n = 200
	for i := range n {
		f := bytes.Repeat([]byte{byte(i)}, 1+i*80)
		if err := a.Send(f); err != nil {
			t.Fatal(err)
		}
		if err := b.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []*end{ea, eb} {
		e.until(t, "all frames", func() bool { return len(e.frames) == n })
		for i, f := range e.frames {
			if len(f) != 1+i*80 || f[0] != byte(i) {
				t.Fatalf("frame %d: %d bytes of %d", i, len(f), f[0])
			}
		}
	}
}

func TestBufferedFallsAndIsReported(t *testing.T) {
	const threshold = 100_000
	a, _, ea, eb := linked(t, transport(t), transport(t))
	a.WakeAt(threshold)
	for range 64 {
		if err := a.Send(make([]byte, 16<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if a.Buffered() <= threshold {
		t.Fatalf("buffered %d of 1 MiB at once", a.Buffered())
	}
	await(t, "writable again", ea.writable)
	if n := a.Buffered(); n > threshold {
		t.Errorf("writable with %d buffered", n)
	}
	eb.until(t, "all frames", func() bool { return len(eb.frames) == 64 })
	a.WakeAt(0)
	for a.Buffered() > 0 { // what has arrived is acknowledged soon
		await(t, "all acknowledged", ea.writable)
	}
}

func TestCloseIsSeenAtBothEnds(t *testing.T) {
	a, _, ea, eb := linked(t, transport(t), transport(t))
	a.Close()
	await(t, "closed at the closing end", ea.closed)
	await(t, "closed at the other end", eb.closed)
	if err := a.Send([]byte("x")); err == nil {
		t.Error("a closed link took a frame")
	}
}

// One UDP port carries many links of one remote process, whose offering side
// has sockets of its own.
func TestManyLinksShareThePort(t *testing.T) {
	offering, answering := transport(t), transport(t)
	if n := len(answering.Addrs()); n != 1 {
		t.Fatalf("%d addresses", n)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a, b, ea, eb := linked(t, offering, answering)
			a.Send([]byte("there"))
			b.Send([]byte("back"))
			ea.until(t, "a frame", func() bool { return len(ea.frames) == 1 })
			eb.until(t, "a frame", func() bool { return len(eb.frames) == 1 })
		})
	}
	wg.Wait()
}

func TestLinkThatNeverOpensIsFreed(t *testing.T) {
	tr := transport(t)
	e := newEnd()
	l, _, err := tr.Offer(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	await(t, "closed", e.closed)
	if _, _, err := tr.Answer(t.Context(), "no description", newEnd()); err == nil {
		t.Error("an answer to nonsense")
	}
	if err := l.Accept(t.Context(), "nonsense"); err == nil {
		t.Error("nonsense was accepted")
	}
}

func TestTransportCloseEndsLinks(t *testing.T) {
	one, other := transport(t), transport(t)
	_, _, ea, _ := linked(t, one, other)
	one.Close()
	await(t, "closed", ea.closed)
	if _, _, err := one.Offer(t.Context(), newEnd()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("offer after close: %v", err)
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, cfg := range []rtc.Config{
		{UDP: "nonsense"}, {UDP: "host.example:1"}, {UDP: "127.0.0.1:99999"}, {UDP: "0.0.0.0:1"},
		{UDP: "127.0.0.1:0", PublicIPs: []string{"nonsense"}},
	} {
		if tr, err := rtc.New(cfg); err == nil {
			tr.Close()
			t.Errorf("%+v was accepted", cfg)
		}
	}
	tr := transport(t)
	_, err := rtc.New(rtc.Config{UDP: tr.Addrs()[0].String()})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port in use: %v", err)
	}
}

func TestPublicIPsAreOfferedToo(t *testing.T) {
	// Loopback cannot be behind a public address, so that the rule is seen on
	// another one, if the machine has it.
	tr, err := rtc.New(rtc.Config{UDP: ":0", PublicIPs: []string{"203.0.113.7"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	other := false
	for _, a := range tr.Addrs() {
		ip := a.(*net.UDPAddr).IP
		other = other || !ip.IsLoopback() && ip.To4() != nil
	}
	_, sdp, err := answerTo(t, tr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Contains(sdp, " 203.0.113.7 "); got != other {
		t.Errorf("public address offered: %v, want %v\n%s", got, other, sdp)
	}
	if !strings.Contains(sdp, "127.0.0.1") {
		t.Error("the machine's own addresses are missing")
	}
}

// browser is a bare peer connection, as at the other end of the wire.
func browser(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	media := new(webrtc.MediaEngine)
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	return browserWith(t, media)
}

// browserWith is browser with other codecs than the usual.
func browserWith(t *testing.T, media *webrtc.MediaEngine) *webrtc.PeerConnection {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.GracefulClose() })
	return pc
}

func offerOf(t *testing.T, pc *webrtc.PeerConnection) string {
	t.Helper()
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	return pc.LocalDescription().SDP
}

func answerTo(t *testing.T, tr *rtc.Transport, h engine.LinkHandler) (engine.Link, string, error) {
	t.Helper()
	pc := browser(t)
	if _, err := pc.CreateDataChannel("data", nil); err != nil {
		t.Fatal(err)
	}
	if h == nil {
		h = newEnd()
	}
	return tr.Answer(context.Background(), offerOf(t, pc), h)
}

func accept(t *testing.T, pc *webrtc.PeerConnection, sdp string) {
	t.Helper()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp}); err != nil {
		t.Fatal(err)
	}
}

func TestJunkIsReportedAndTheLinkLives(t *testing.T) {
	tr := transport(t)
	pc := browser(t)
	other, err := pc.CreateDataChannel("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	dc, err := pc.CreateDataChannel("data", nil)
	if err != nil {
		t.Fatal(err)
	}
	open, otherClosed := make(chan struct{}), make(chan struct{})
	dc.OnOpen(func() { close(open) })
	other.OnClose(func() { close(otherClosed) })
	e := newEnd()
	_, sdp, err := tr.Answer(t.Context(), offerOf(t, pc), e)
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	await(t, "open", open)
	await(t, "the other channel closed", otherClosed)
	dc.SendText("text")
	dc.Send([]byte{})
	dc.Send([]byte("frame"))
	e.until(t, "three messages", func() bool { return len(e.junk) == 1 && len(e.frames) == 2 })
	if e.junk[0] != engine.JunkText || len(e.frames[0]) != 0 || string(e.frames[1]) != "frame" {
		t.Errorf("junk %v, frames %q", e.junk, e.frames)
	}
}

// opened is a link that a browser has offered, once it is open at both ends.
func opened(t *testing.T, tr *rtc.Transport, pc *webrtc.PeerConnection) (engine.Link, *webrtc.DataChannel, *end) {
	t.Helper()
	dc, err := pc.CreateDataChannel("data", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	e := newEnd()
	l, sdp, err := tr.Answer(t.Context(), offerOf(t, pc), e)
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	await(t, "open", open)
	return l, dc, e
}

// A browser that adds media to its link must get an answer, and the link must
// live on.
func TestMediaIsRefusedInTheAnswer(t *testing.T) {
	tr := transport(t)
	pc := browser(t)
	l, dc, e := opened(t, tr, pc)

	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "mic", "stream")
	if err != nil {
		t.Fatal(err)
	}
	sender, err := pc.AddTrack(track)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{func() error { return nil }, func() error { return pc.RemoveTrack(sender) }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		sdp, err := l.Renegotiate(t.Context(), offerOf(t, pc))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(sdp, "m=audio 0 ") && !strings.Contains(sdp, "a=inactive") {
			t.Errorf("audio is not refused:\n%s", sdp)
		}
		accept(t, pc, sdp)
		dc.Send([]byte("after"))
	}
	e.until(t, "frames after the renegotiations", func() bool { return len(e.frames) == 2 })
}

// What was not acknowledged when a link ended is known afterwards.
func TestBufferedOutlivesTheLink(t *testing.T) {
	a, b, ea, eb := linked(t, transport(t), transport(t))
	const opening = 16 // bytes of the channel's own first message, which may be under way too
	sent := 0
	for range 500 {
		f := make([]byte, 16_000)
		if err := a.Send(f); err != nil {
			t.Fatal(err)
		}
		sent += len(f)
	}
	b.Close()
	await(t, "end at the offerer", ea.closed)
	await(t, "end at the answerer", eb.closed)
	eb.mu.Lock()
	defer eb.mu.Unlock()
	if n := a.Buffered(); len(eb.frames) < 500 && n == 0 || n > sent+opening {
		t.Errorf("%d bytes are unacknowledged after %d of 500 frames", n, len(eb.frames))
	}
	if err := a.Send([]byte("more")); err == nil {
		t.Error("a link that ended takes frames")
	}
}

// A message that is too long for the wire is junk once, and the link lives.
func TestLongMessageIsJunkOnce(t *testing.T) {
	tr, pc := transport(t), browser(t)
	_, dc, e := opened(t, tr, pc)
	for _, size := range []int{64<<10 + 1, 900 << 10} {
		if err := dc.Send(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dc.Send([]byte("frame")); err != nil {
		t.Fatal(err)
	}
	e.until(t, "a frame after the junk", func() bool { return len(e.frames) == 1 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.junk) != 2 || e.junk[0] != engine.JunkLong || e.junk[1] != engine.JunkLong {
		t.Errorf("junk %d times", len(e.junk))
	}
}
