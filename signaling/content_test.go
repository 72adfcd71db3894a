package signaling

import (
	"errors"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"pgregory.net/rapid"
)

func TestContentsOnTheWire(t *testing.T) {
	for _, v := range []struct {
		content content
		want    string
	}{
		{content{kind: engine.Announce, peer: "0a"}, `{"peerId":"0a"}`},
		{content{kind: engine.Announce, peer: "0a", typ: "superpeer"}, `{"peerId":"0a","type":"superpeer"}`},
		{content{kind: engine.Bye, peer: "0a", typ: "superpeer"}, `{"peerId":"0a","bye":1}`},
		{content{kind: engine.Offer, peer: "0a", typ: "superpeer", envelope: "1$a"},
			`{"peerId":"0a","offer":{"type":"offer","sdp":"1$a"},"type":"superpeer"}`},
		{content{kind: engine.Answer, peer: "0a", typ: "session", envelope: "1$a"},
			`{"peerId":"0a","answer":{"type":"answer","sdp":"1$a"},"type":"session"}`},
	} {
		if got, err := v.content.encode(); err != nil || got != v.want {
			t.Errorf("encoded %s, %v; want %s", got, err, v.want)
		}
	}
}

func TestContentsThatAreUnderstood(t *testing.T) {
	for text, want := range map[string]content{
		`{"peerId":"a"}`:   {kind: engine.Announce, peer: "a"},
		`{"peerId":"ü 😀"}`: {kind: engine.Announce, peer: "ü 😀"},
		`{"peerId":"a","type":"native","more":[1,{"x":2}]}`:              {kind: engine.Announce, peer: "a", typ: "native"},
		`{"peerId":"a","bye":1}`:                                         {kind: engine.Bye, peer: "a"},
		`{"peerId":"a","bye":true}`:                                      {kind: engine.Bye, peer: "a"},
		`{"peerId":"a","bye":0}`:                                         {kind: engine.Announce, peer: "a"},
		`{"peerId":"a","type":null,"offer":null}`:                        {kind: engine.Announce, peer: "a"},
		`{"peerId":"a","peerId":"b"}`:                                    {kind: engine.Announce, peer: "b"},
		`{"peerId":"a","PeerID":"b","BYE":1}`:                            {kind: engine.Announce, peer: "a"},
		`{"peerId":"a","answer":{"type":"answer","sdp":"1$x"}}`:          {kind: engine.Answer, peer: "a", envelope: "1$x"},
		`{"peerId":"a","offer":{"sdp":"1$x","type":"offer"},"type":"t"}`: {kind: engine.Offer, peer: "a", typ: "t", envelope: "1$x"},
		// What browsers leak is ignored.
		`{"peerId":"a","offer":{"type":"offer","sdp":"1$x"},"peer":{"created":1,"connection":{},"isDead":false}}`: {kind: engine.Offer, peer: "a", envelope: "1$x"},
	} {
		if got, err := parseContent(text); err != nil || got != want {
			t.Errorf("%s: read %+v, %v", text, got, err)
		}
	}
}

func TestContentsThatAreOdd(t *testing.T) {
	for _, text := range []string{
		``, ` `, `"str"`, `1`, `null`, `[]`, `{}`, `{"hello":1}`, `{"peerId":"a"`, `{"peerId":"a"}x`,
		`{"peerId":1}`, `{"peerId":""}`, `{"peerId":null}`, `{"peerId":["a"]}`, `{"PEERID":"a"}`,
		`{"peerId":"` + strings.Repeat("a", engine.MaxPeerID+1) + `"}`,
		`{"peerId":"a","type":7}`, `{"peerId":"a","type":"` + strings.Repeat("t", maxType+1) + `"}`,
		`{"peerId":"a","offer":"x"}`, `{"peerId":"a","offer":{}}`, `{"peerId":"a","offer":{"type":"offer"}}`,
		`{"peerId":"a","offer":{"type":"offer","sdp":1}}`, `{"peerId":"a","offer":{"type":"offer","sdp":""}}`,
		`{"peerId":"a","offer":{"type":"answer","sdp":"1$x"}}`,
		`{"peerId":"a","answer":{"type":"pranswer","sdp":"1$x"}}`,
		`{"peerId":"a","offer":{"type":"offer","sdp":"1$x"},"answer":{"type":"answer","sdp":"1$x"}}`,
		strings.Repeat(`[`, 20000),
		`{"peerId":"a","x":"` + strings.Repeat("x", maxContent) + `"}`,
	} {
		if got, err := parseContent(text); !errors.Is(err, errContent) {
			t.Errorf("%.80s: read %+v, %v", text, got, err)
		}
	}
}

func TestContentRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := content{
			kind: rapid.SampledFrom([]engine.SignalKind{engine.Announce, engine.Bye, engine.Offer, engine.Answer}).Draw(rt, "kind"),
			peer: rapid.StringN(1, -1, engine.MaxPeerID).Draw(rt, "peer"),
		}
		if want.kind != engine.Bye {
			want.typ = rapid.StringN(0, -1, maxType).Draw(rt, "type")
		}
		if want.kind >= engine.Offer {
			want.envelope = rapid.StringN(1, 100, -1).Draw(rt, "envelope")
		}
		text, err := want.encode()
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := parseContent(text); err != nil || got != want {
			rt.Fatalf("%s: read %+v, %v; want %+v", text, got, err, want)
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseContent(text)
		if err != nil {
			return
		}
		if c.peer == "" || len(c.peer) > engine.MaxPeerID || len(c.typ) > maxType || (c.kind >= engine.Offer) != (c.envelope != "") {
			t.Fatalf("read %+v", c)
		}
		if c.kind == engine.Bye {
			c.typ = "" // not sent
		}
		again, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseContent(again); err != nil || got != c {
			t.Errorf("%s: read %+v, %v; want %+v", again, got, err, c)
		}
	})
}
