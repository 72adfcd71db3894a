package handler

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/admission"
)

func TestDataChannelSession(t *testing.T) {
	s := serveWHIP(t, Config{})
	a, b := s.enterWHIP(), s.enter()
	a.say(`{"op":"send","seq":1,"channel":"chat","data":{"text":"hi"}}`)
	if m := a.hear("ack"); number(m["seq"]) != 1 {
		t.Errorf("got %v", m)
	}
	if m := b.hear("message"); m["from"] != a.id || m["data"].(map[string]any)["text"] != "hi" {
		t.Errorf("got %v", m)
	}
	b.say(`{"op":"send","seq":1,"channel":"chat","data":"back"}`)
	if m := a.hear("message"); m["from"] != b.id || m["data"] != "back" {
		t.Errorf("got %v", m)
	}
	if st := s.h.Stats(); st.Sessions != 2 || st.Opened != 2 {
		t.Errorf("%+v", st)
	}
	a.say(`{"op":"leave"}`)
	a.over(1000, "left")
	eventually(t, "the session did not end", func() bool { return s.h.Stats().Sessions == 1 })
	if res, _ := s.ask("GET", a.location, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("after the end: %s", res.Status)
	}
}

func TestDataChannelLimitIsTold(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := newVisitor(s).data().post()
	v.until("open", v.opened)
	v.say(`{"op":"hello"}`)
	limits := v.hear("welcome")["limits"].(map[string]any)
	if number(limits["message"]) != 65536 {
		t.Errorf("limits %v", limits)
	}
}

// One session, over both transports in turn, with messages while it is away.
func TestSessionMovesBetweenTransports(t *testing.T) {
	s := serveWHIP(t, Config{})
	other := s.enter()
	seq := 0
	tell := func(text string) {
		seq++
		other.say(`{"op":"send","seq":%d,"channel":"chat","data":%q}`, seq, text)
		other.hear("ack")
	}
	ws := s.dial(nil)
	ws.say(`{"op":"hello"}`)
	welcome := ws.hear("welcome")
	id, token := welcome["peer"], welcome["resume"]
	tell("one")
	one := ws.hear("message")

	dc := newVisitor(s).data().post()
	dc.until("open", dc.opened)
	dc.say(`{"op":"hello","resume":%q,"ack":%.0f}`, token, one["seq"])
	if m := dc.hear("welcome"); m["peer"] != id || m["resumed"] != true {
		t.Fatalf("got %v", m)
	}
	ws.over(websocket.StatusCode(4000), "resumed elsewhere")
	tell("two")
	two := dc.hear("message")
	if two["data"] != "two" {
		t.Errorf("got %v", two)
	}
	_ = dc.pc.Close()
	tell("three")

	back := s.dial(nil)
	back.say(`{"op":"hello","resume":%q,"ack":%d}`, token, number(two["seq"]))
	if m := back.hear("welcome"); m["peer"] != id || m["resumed"] != true {
		t.Fatalf("got %v", m)
	}
	if m := back.hear("message"); m["data"] != "three" {
		t.Errorf("got %v", m)
	}
}

// What is longer than a message of the channel comes and goes in pieces.
func TestDataChannelPieces(t *testing.T) {
	s := serveWHIP(t, Config{})
	a, b := s.enterWHIP(), s.enterWHIP()
	for i, size := range []int{channelMessage - 200, channelMessage, 1 << 20} {
		data := bytes.Repeat([]byte{byte(i)}, size)
		a.send(map[string]any{"op": "send", "seq": i + 1, "channel": "file", "data": data})
		if m := b.hear("message"); !bytes.Equal(m["data"].([]byte), data) {
			t.Errorf("%d bytes: got %d", size, len(m["data"].([]byte)))
		}
		a.hear("ack")
	}
	if b.pieces < 2+16 {
		t.Errorf("%d pieces", b.pieces)
	}
}

func TestDataChannelFaults(t *testing.T) {
	for name, test := range map[string]struct {
		limits Limits
		send   func(v *visitor)
		code   int
		reason string
	}{
		"text": {send: func(v *visitor) { _ = v.dc.SendText("{}") }, code: 1003, reason: "the wrong type of message for genosrtc.v1.msgpack"},
		"too long": {send: func(v *visitor) { v.write(make([]byte, 300<<10)) }, code: 1009,
			reason: "a message is too long: send it in pieces"},
		"too many pieces": {limits: Limits{Message: 1000}, send: func(v *visitor) {
			v.send(map[string]any{"op": "send", "seq": 1, "channel": "file", "data": make([]byte, 200<<10)})
		}, code: 1009, reason: "the pieces of a message are too many"},
		"between pieces": {send: func(v *visitor) {
			v.write([]byte{packBin8, 1, 7})
			v.say(`{"op":"ping","id":1}`)
		}, code: 1002, reason: "a message between the pieces of another"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveWHIP(t, Config{Settings: Settings{Limits: test.limits}})
			v := newVisitor(s).data()
			v.edit = strings.NewReplacer("a=max-message-size:262144", "a=max-message-size:1000000").Replace
			v.post()
			v.until("open", v.opened)
			v.say(`{"op":"hello"}`)
			v.hear("welcome")
			test.send(v)
			v.over(test.code, test.reason)
			eventually(t, "the session ends", func() bool { return s.h.Stats().Sessions == 0 })
			if st := s.room.Stats(); test.code == 1002 && st.Seats != 0 { // as on a WebSocket
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestDataChannelBadMessagesAreAnswered(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := s.enterWHIP()
	for _, raw := range [][]byte{{}, {packNil}, {packBin8, 9, 1}, {0x80}, {0xc1}} {
		v.write(raw)
		if m := v.hear("error"); m["code"] != "bad_message" {
			t.Errorf("%x: got %v", raw, m)
		}
	}
}

func TestStopEndsDataChannels(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := s.enterWHIP()
	if err := s.h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.over(1001, "server stopping")
	if res, body := s.ask("POST", demoWHIP, "v=0", "Content-Type", typeSDP); res.StatusCode != http.StatusServiceUnavailable ||
		res.Header.Get("Retry-After") == "" || !strings.Contains(body, "stopping") {
		t.Errorf("POST after the end: %s %v %s", res.Status, res.Header, body)
	}
}

// Credentials are shown in the request or by hello, and end a session that they opened.
func TestDataChannelCredentials(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: bytes.Repeat([]byte("k"), 32), Audience: "demo"}
	tokens, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	token, err := admission.Mint(cfg, admission.Claims{User: "ada", Publish: []string{}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	s := serveWHIP(t, Config{Settings: Settings{Auth: Auth{Tokens: tokens}}})
	v := newVisitor(s).data().post("Authorization", "Bearer "+token)
	v.until("open", v.opened)
	v.say(`{"op":"hello"}`)
	if m := v.hear("welcome"); m["user"] != "ada" {
		t.Errorf("got %v", m)
	}
	v.say(`{"op":"send","seq":1,"channel":"chat","data":1}`)
	if m := v.hear("error"); m["code"] != "forbidden" {
		t.Errorf("got %v", m)
	}
	v.hear("ack")
	if err := s.h.Configure(Settings{Auth: Auth{Tokens: tokens, User: func(*http.Request) string { return "" }}}); err != nil {
		t.Fatal(err)
	}
	v.say(`{"op":"ping","id":1}`) // what is allowed is as before
	v.hear("pong")
	cfg.Audience = "another"
	others, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.h.Configure(Settings{Auth: Auth{Tokens: others}}); err != nil {
		t.Fatal(err)
	}
	if m := v.hear("error"); m["code"] != "token" {
		t.Errorf("got %v", m)
	}
	v.over(4001, "token")
}

// A server that has no time left cuts what does not end.
func TestCloseCutsDataChannels(t *testing.T) {
	s := serveWHIP(t, Config{})
	v := s.enterWHIP()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.h.Close(ctx); !errors.Is(err, context.Canceled) && err != nil {
		t.Error(err)
	}
	v.until("closed", v.closed)
}

// What scripts may read of answers (Fetch, CORS protocol).
func TestWHIPHeadersAreExposed(t *testing.T) {
	s := serveWHIP(t, Config{Settings: Settings{Origins: []string{"https://app.example"}}})
	for _, method := range []string{"GET", "POST"} { // an answer, and a refusal
		res, _ := s.ask(method, demoWHIP, "", "Origin", "https://app.example")
		exposed := strings.Join(res.Header.Values("Access-Control-Expose-Headers"), ", ")
		for _, name := range []string{"Location", "ETag", "Link", "Accept-Patch", "WWW-Authenticate", "Retry-After"} {
			if !strings.Contains(exposed, name) {
				t.Errorf("%s: %s is not exposed: %s", res.Status, name, exposed)
			}
		}
	}
}

// The answer names the STUN and TURN servers (RFC 9725, section 4.6).
func TestWHIPLinksICEServers(t *testing.T) {
	s := serveWHIP(t, Config{ICEServers: func(user string, _ time.Time) []ICEServer {
		return []ICEServer{
			{URLs: []string{"stun:stun.example:3478"}},
			{URLs: []string{"turn:turn.example:3478?transport=udp"}, Username: user, Credential: "secret"},
		}
	}})
	g := golden{t: t}
	res, _ := s.ask("POST", demoWHIP, g.offer("data.sdp"), "Content-Type", typeSDP)
	links := strings.Join(res.Header.Values("Link"), "\n")
	if want := `<stun:stun.example:3478>; rel="ice-server"` + "\n" +
		`<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="address 127.0.0.1"; credential="secret"; credential-type="password"`; links != want {
		t.Errorf("got\n%s\nwant\n%s", links, want)
	}
	if res, _ := s.ask("DELETE", res.Header.Get("Location"), ""); res.StatusCode != http.StatusNoContent {
		t.Error(res.Status)
	}
}
