package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// A session over WebRTC lives through reloads too, on the same connection, and is
// told of the end.
func TestReloadKeepsSessionsOverWebRTC(t *testing.T) {
	c := newCaddy(t)
	c.load(demo)
	messages := c.joinWebRTC()
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	for i := range 3 {
		c.load(fmt.Sprintf("genosrtc {\nroom demo\nroom room-%d\nwhip strict\n}", i))
		text := fmt.Sprintf("after reload %d", i)
		alice.Say(text, bob)
		if m := next(t, messages, "message"); m["data"] != text {
			t.Errorf("got %v", m)
		}
	}
	c.load("genosrtc /elsewhere {\nroom demo\n}")
	if m := next(t, messages, "end"); fmt.Sprint(m["code"]) != "1001" || m["reason"] != "server stopping" {
		t.Errorf("got %v", m)
	}
}

// joinWebRTC is a session on a data channel, behind its welcome.
func (c *caddyServer) joinWebRTC() <-chan map[string]any {
	c.t.Helper()
	must := func(err error) {
		c.t.Helper()
		if err != nil {
			c.t.Fatal(err)
		}
	}
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	must(err)
	c.t.Cleanup(func() { _ = pc.GracefulClose() })
	dc, err := pc.CreateDataChannel("genosrtc", nil)
	must(err)
	messages := make(chan map[string]any, 100)
	hello, err := msgpack.Marshal(map[string]string{"op": "hello"})
	must(err)
	dc.OnOpen(func() { _ = dc.Send(hello) })
	dc.OnMessage(func(raw webrtc.DataChannelMessage) {
		var m map[string]any
		if err := msgpack.Unmarshal(raw.Data, &m); err != nil {
			c.t.Error(err)
		}
		messages <- m
	})
	offer, err := pc.CreateOffer(nil)
	must(err)
	gathered := webrtc.GatheringCompletePromise(pc)
	must(pc.SetLocalDescription(offer))
	<-gathered
	res, err := testclient.HTTP.Post(c.url+"/rooms/demo/whip", "application/sdp", strings.NewReader(pc.LocalDescription().SDP))
	must(err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(err)
	if res.StatusCode != http.StatusCreated {
		c.t.Fatalf("%s: %s", res.Status, answer)
	}
	must(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}))
	next(c.t, messages, "welcome")
	return messages
}

// next is the next message of an op.
func next(t *testing.T, messages <-chan map[string]any, op string) map[string]any {
	t.Helper()
	for {
		select {
		case m := <-messages:
			if m["op"] == op {
				return m
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no %s", op)
		}
	}
}
