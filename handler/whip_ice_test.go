package handler

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// A client that sends its addresses after its offer.
func TestTrickle(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := newVisitor(s).data()
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan *webrtc.ICECandidate, 64)
	v.pc.OnICECandidate(func(c *webrtc.ICECandidate) { found <- c })
	if err := v.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	v.answer(v.s.ask("POST", demoWHIP, offer.SDP, "Content-Type", typeSDP))
	for c := range found {
		if c == nil {
			break
		}
		res, body := s.ask("PATCH", v.location, "a=ice-ufrag:"+line(offer.SDP, "ice-ufrag")+"\r\na="+c.ToJSON().Candidate+"\r\n",
			"Content-Type", typeFragment, "If-Match", v.tag)
		if res.StatusCode != http.StatusNoContent || res.Header.Get("ETag") != "" {
			t.Fatalf("%s %s", res.Status, body)
		}
	}
	v.until("open", v.opened)
}

// line is the value of the first line a=name:value.
func line(sdp, name string) string {
	_, rest, _ := strings.Cut(sdp, "a="+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// A session lives through restarts of ICE, and loses nothing.
func TestICERestart(t *testing.T) {
	s := serveWHIP(t, Config{})
	v, other := s.enterWHIP(), s.enter()
	for seq := 1; seq <= 3; seq++ {
		offer, err := v.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
		if err != nil {
			t.Fatal(err)
		}
		gathered := webrtc.GatheringCompletePromise(v.pc)
		if err := v.pc.SetLocalDescription(offer); err != nil {
			t.Fatal(err)
		}
		<-gathered
		res, answer := s.ask("PATCH", v.location, fragmentOf(v.pc.LocalDescription().SDP), "Content-Type", typeFragment, "If-Match", "*")
		if res.StatusCode != http.StatusOK || res.Header.Get("ETag") == v.tag {
			t.Fatalf("%s %v %s", res.Status, res.Header, answer)
		}
		v.tag = res.Header.Get("ETag")
		other.say(`{"op":"send","seq":%d,"channel":"chat","data":"while it restarts"}`, seq)
		// All but ICE is as it was.
		var old strings.Builder
		for line := range strings.Lines(v.pc.RemoteDescription().SDP) {
			if !strings.HasPrefix(line, "a=candidate") && !strings.HasPrefix(line, "a=end-of") && !strings.HasPrefix(line, "a=ice-") {
				old.WriteString(line)
			}
		}
		_, fresh, _ := strings.Cut(answer, "a=mid:0\r\n")
		if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: old.String() + fresh}); err != nil {
			t.Fatal(err)
		}
		if m := v.hear("message"); m["data"] != "while it restarts" {
			t.Errorf("got %v", m)
		}
		v.say(`{"op":"send","seq":%d,"channel":"chat","data":"after it"}`, seq)
		if m := other.hear("ack"); m["seq"] != float64(seq) {
			t.Errorf("got %v", m)
		}
		if m := other.hear("message"); m["data"] != "after it" {
			t.Errorf("got %v", m)
		}
		v.hear("ack")
	}
}

// A connection that does not come up ends, and is counted.
func TestNoConnection(t *testing.T) {
	s := serveWHIP(t, Config{})
	s.h.guests.patience = 50 * time.Millisecond
	g := golden{t: t}
	res, _ := s.ask("POST", demoWHIP, g.offer("data.sdp"), "Content-Type", typeSDP)
	if res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	eventually(t, "the session ends", func() bool { return s.h.Stats().Sessions == 0 })
	if st := s.h.Stats(); st.Refused["webrtc"] != 1 || st.Opened != 0 {
		t.Errorf("%+v", st)
	}
	if res, _ := s.ask("GET", res.Header.Get("Location"), ""); res.StatusCode != http.StatusNotFound {
		t.Error(res.Status)
	}
}

// So many connections can be in the making, and no more.
func TestConnectingIsBounded(t *testing.T) {
	s := serveWHIP(t, Config{})
	begin := func(n int, network string) {
		t.Helper()
		for range n {
			if why := s.h.guests.begin(network); why != nil {
				t.Fatal("refused too early", why)
			}
		}
	}
	begin(maxConnectingHere, "192.0.2.0")
	if why := s.h.guests.begin("192.0.2.0"); why != tooManyPendingHere {
		t.Errorf("one network has them all: %v", why)
	}
	for i := 1; i < maxConnecting/maxConnectingHere; i++ {
		begin(maxConnectingHere, fmt.Sprint("192.0.2.", i))
	}
	g := golden{t: t}
	res, _ := s.ask("POST", demoWHIP, g.offer("data.sdp"), "Content-Type", typeSDP)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if st := s.h.Stats(); st.Sessions != 0 || st.Refused["sessions"] != 1 {
		t.Errorf("%+v", st)
	}
}

// A client can end its session by DELETE, which is a lost connection to the room.
func TestDelete(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := s.enterWHIP()
	if res, body := s.ask("DELETE", v.location, "", "If-Match", `"9"`); res.StatusCode != http.StatusNoContent {
		t.Fatalf("%s %s", res.Status, body)
	}
	v.until("closed", v.closed)
	eventually(t, "the session ends", func() bool { return s.h.Stats().Sessions == 0 })
	if st := s.room.Stats(); st.Seats != 1 { // it may be resumed
		t.Errorf("%+v", st)
	}
	if st := s.h.Stats(); st.Refused["webrtc"] != 0 {
		t.Errorf("%+v", st)
	}
}

// Candidates are bounded, as each is probed from here.
func TestCandidatesAreBounded(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := s.enterWHIP()
	var f strings.Builder
	for range 70 {
		f.WriteString("a=candidate:1 1 udp 2122260223 127.0.0.1 9 typ host\r\n")
	}
	res, body := s.ask("PATCH", v.location, f.String(), "Content-Type", typeFragment, "If-Match", v.tag)
	if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "64 candidates") {
		t.Errorf("%s %s", res.Status, body)
	}
	v.say(`{"op":"ping","id":1}`)
	v.hear("pong")
	for n := range 100 {
		res, _ := s.ask("PATCH", v.location, "a=end-of-candidates", "Content-Type", typeFragment, "If-Match", v.tag)
		if res.StatusCode == http.StatusTooManyRequests {
			if n < 20 || res.Header.Get("Retry-After") == "" {
				t.Errorf("after %d: %v", n, res.Header)
			}
			return
		}
	}
	t.Error("100 PATCHes at once")
}

// A camera alone: it has a seat, and is there until it is gone.
func TestCamera(t *testing.T) {
	s := serveWHIP(t, Config{})
	var got atomic.Int64
	seen := make(chan string, 2)
	s.h.media = watchTracks(&got, seen)
	v := newVisitor(s)
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "video", "camera")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		t.Fatal(err)
	}
	other := s.enter()
	v.post()
	if m := other.hearPeer(); m["event"] != "join" || m["type"] != "session" {
		t.Errorf("got %v", m)
	}
	play(t, track, func() bool { return got.Load() > 0 })
	if id := <-seen; len(id) != 20 {
		t.Errorf("seat %q", id)
	}
	other.say(`{"op":"ping","id":1,"peer":%q}`, s.other(other.id))
	if m := other.hear("pong"); m["error"] != nil {
		t.Errorf("got %v", m)
	}
	if res, _ := s.ask("DELETE", v.location, ""); res.StatusCode != http.StatusNoContent {
		t.Error(res.Status)
	}
	if m := other.hearPeer(); m["event"] != "leave" {
		t.Errorf("got %v", m)
	}
	eventually(t, "the session ends", func() bool { return s.h.Stats().Sessions == 1 })
}

// A session may have data and media.
func TestDataAndMedia(t *testing.T) {
	s := serveWHIP(t, Config{})
	var got atomic.Int64
	seen := make(chan string, 2)
	s.h.media = watchTracks(&got, seen)
	v := newVisitor(s).data()
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "camera")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	v.post()
	v.until("open", v.opened)
	v.say(`{"op":"hello"}`)
	id := v.hear("welcome")["peer"]
	if seat := <-seen; seat != id {
		t.Errorf("the seat is %q, the peer %q", seat, id)
	}
	play(t, track, func() bool { return got.Load() > 0 })
}

// One network makes no more offers than at a rate, whatever becomes of them.
func TestOffersHaveARate(t *testing.T) {
	s := serveWHIP(t, Config{})
	for range offerBurst + 2*offerRate {
		if res, _ := s.ask("POST", demoWHIP, "no offer", "Content-Type", typeSDP); res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") == "" {
				t.Error(res.Header)
			}
			return
		}
	}
	t.Error("all were taken")
}
