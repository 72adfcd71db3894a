package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// serveWHIP is a handler on a real server, with a WebRTC port of its own.
func serveWHIP(t testing.TB, cfg Config) *site {
	t.Helper()
	transport, err := rtc.New(rtc.Config{UDP: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the handler's
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg.WebRTC = transport
	return serve(t, cfg)
}

// ask is a request to a path below the site's.
func (s *site) ask(method, path, body string, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(text)
}

const demoWHIP = "/genosrtc/rooms/demo/whip"

// visitor is a client with WebRTC.
type visitor struct {
	t        testing.TB
	s        *site
	pc       *webrtc.PeerConnection
	dc       *webrtc.DataChannel // nil: it has none
	opened   chan struct{}
	closed   chan struct{}
	messages chan map[string]any
	joined   []byte
	pieces   int

	edit func(answer string) string // nil: it is as it came

	location, tag, id string
}

func newVisitor(s *site) *visitor {
	s.t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	codecs := new(webrtc.MediaEngine)
	if err := codecs.RegisterDefaultCodecs(); err != nil {
		s.t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(codecs)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = pc.GracefulClose() })
	return &visitor{
		t: s.t, s: s, pc: pc,
		opened: make(chan struct{}), closed: make(chan struct{}), messages: make(chan map[string]any, 4096),
	}
}

// data gives a visitor the data channel.
func (v *visitor) data() *visitor {
	v.t.Helper()
	dc, err := v.pc.CreateDataChannel(channelLabel, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	v.dc = dc
	dc.OnOpen(func() { close(v.opened) })
	dc.OnClose(func() { close(v.closed) })
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		if len(m.Data) > channelMessage {
			v.t.Errorf("a message of %d bytes", len(m.Data))
		}
		raw := m.Data
		if piece, ok := pieceOf(raw); ok {
			v.joined = append(v.joined, piece...)
			v.pieces++
			return
		}
		if len(raw) == 1 && raw[0] == packNil {
			raw, v.joined = v.joined, nil
		}
		var decoded map[string]any
		if err := msgpack.Unmarshal(raw, &decoded); err != nil {
			v.t.Errorf("%x: %v", raw[:min(len(raw), 100)], err)
			return
		}
		v.messages <- decoded
	})
	return v
}

// offer is the visitor's offer with all candidates.
func (v *visitor) offer() string {
	v.t.Helper()
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		v.t.Fatal(err)
	}
	<-gathered
	return v.pc.LocalDescription().SDP
}

// post makes the session.
func (v *visitor) post(header ...string) *visitor {
	v.t.Helper()
	v.answer(v.s.ask("POST", demoWHIP, v.offer(), append(header, "Content-Type", typeSDP)...))
	return v
}

// answer takes what a POST was answered.
func (v *visitor) answer(res *http.Response, answer string) {
	v.t.Helper()
	if res.StatusCode != http.StatusCreated {
		v.t.Fatalf("POST: %s: %s", res.Status, answer)
	}
	if v.edit != nil {
		answer = v.edit(answer)
	}
	v.location, v.tag = res.Header.Get("Location"), res.Header.Get("ETag")
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		v.t.Fatal(err)
	}
}

// enterWHIP makes a session and takes its welcome.
func (s *site) enterWHIP() *visitor {
	s.t.Helper()
	v := newVisitor(s).data().post()
	v.until("open", v.opened)
	v.say(`{"op":"hello"}`)
	v.id = v.hear("welcome")["peer"].(string)
	return v
}

func (v *visitor) until(what string, c <-chan struct{}) {
	v.t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		v.t.Fatalf("not %s", what)
	}
}

func (v *visitor) say(format string, args ...any) {
	v.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(fmt.Appendf(nil, format, args...), &m); err != nil {
		v.t.Fatal(err)
	}
	v.send(m)
}

// send sends a message, in pieces if it is long.
func (v *visitor) send(m map[string]any) {
	v.t.Helper()
	raw, err := msgpack.Marshal(m)
	if err != nil {
		v.t.Fatal(err)
	}
	if len(raw) <= channelMessage {
		v.write(raw)
		return
	}
	for len(raw) > 0 {
		n := min(len(raw), 60_000)
		piece, err := msgpack.Marshal(raw[:n])
		if err != nil {
			v.t.Fatal(err)
		}
		v.write(piece)
		raw = raw[n:]
	}
	v.write([]byte{packNil})
}

func (v *visitor) write(raw []byte) {
	v.t.Helper()
	if err := v.dc.Send(raw); err != nil {
		v.t.Fatal(err)
	}
}

// hear returns the next message of an op, passing over peer events.
func (v *visitor) hear(op string) map[string]any {
	v.t.Helper()
	for {
		select {
		case m := <-v.messages:
			switch m["op"] {
			case op:
				return m
			case "peer":
			default:
				v.t.Fatalf("waiting for %s: got %v", op, m)
			}
		case <-time.After(20 * time.Second):
			v.t.Fatalf("no %s", op)
		}
	}
}

// over wants the end of the session, and of the channel.
func (v *visitor) over(code int, reason string) {
	v.t.Helper()
	m := v.hear("end")
	if number(m["code"]) != uint64(code) || m["reason"] != reason {
		v.t.Errorf("ended with %v, want %d %q", m, code, reason)
	}
	v.until("closed", v.closed)
}

// number is a MessagePack integer of any width.
func number(v any) uint64 {
	var n uint64
	fmt.Sscan(fmt.Sprint(v), &n)
	return n
}

// hearPeer returns the next event of a peer that is a session.
func (c *client) hearPeer() map[string]any {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			c.t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			c.t.Fatal(err)
		}
		if m["op"] == "peer" {
			return m
		}
	}
}

// other is the session in the room that has not this id.
func (s *site) other(id string) string {
	s.t.Helper()
	for _, p := range s.room.Peers() {
		if p.Type == "session" && p.ID != id {
			return p.ID
		}
	}
	s.t.Fatal("nobody else is there")
	return ""
}

// watchTracks counts the packets of all tracks, and tells whose they are.
func watchTracks(packets *atomic.Int64, seen chan<- string) func(*engine.Room, *engine.Attachment, *rtc.Guest) {
	return func(_ *engine.Room, seat *engine.Attachment, g *rtc.Guest) {
		seen <- seat.ID()
		g.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			_ = g.WritePLI(track)
			go func() { // until the connection ends
				for {
					if _, _, err := track.ReadRTP(); err != nil {
						return
					}
					packets.Add(1)
				}
			}()
		})
	}
}

// play sends samples until it is enough.
func play(t *testing.T, track *webrtc.TrackLocalStaticSample, enough func() bool) {
	t.Helper()
	eventually(t, "no packets come", func() bool {
		if err := track.WriteSample(media.Sample{Data: make([]byte, 100), Duration: 20 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		return enough()
	})
}
