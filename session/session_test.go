package session

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func TestWelcome(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		n := process(t, memnet.New().Endpoint("server"), engine.Limits{HostedPerRoom: 2})
		room := open(t, n, engine.RoomConfig{Name: "a/b"})
		a := dial(t, Config{Room: room, Codec: codec, Limits: Limits{Message: 1000, Pending: 2000}})
		a.say(`{"op":"hello","resume":"secret"}`)
		w := a.hear("welcome")
		id := w["peer"].(string)
		if !regexp.MustCompile(`^0[0-9A-Za-z]{19}$`).MatchString(id) {
			t.Errorf("peer id %q", id)
		}
		peers := w["peers"].([]any)
		if len(peers) != 1 || peers[0].(map[string]any)["type"] != "superpeer" {
			t.Errorf("peers: %v", peers)
		}
		delete(w, "peer")
		delete(w, "peers")
		if secret := w["resume"].(string); len(secret) < 22 {
			t.Errorf("the secret %q has less than 128 bits", secret)
		}
		delete(w, "resume")
		if got, want := toJSON(t, w), `{"ack":0,"identity":"session","limits":{"message":1000,"pending":2000,"resume":120,"window":524288},`+
			`"op":"welcome","reason":"unknown","resumed":false,"room":"a/b"}`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}

		b := dial(t, Config{Room: room, Codec: codec})
		b.say(`{"op":"hello"}`)
		w = b.hear("welcome")
		if got, want := toJSON(t, w["limits"]), `{"message":2097152,"pending":8388608,"resume":120,"window":524288}`; got != want {
			t.Errorf("limits %s, want %s", got, want)
		}
		if _, ok := w["reason"]; ok {
			t.Errorf("a reason without resume: %v", w)
		}
		if !strings.Contains(toJSON(t, w["peers"]), fmt.Sprintf(`{"peer":%q,"type":"session"}`, id)) {
			t.Errorf("%s is missing in %v", id, w["peers"])
		}
		a.expect(`{"op":"peer","event":"join","peer":%q,"type":"session"}`, w["peer"])

		c := dial(t, Config{Room: room, Codec: codec})
		c.say(`{"op":"hello"}`)
		if w := c.hear("welcome"); w["identity"] != "server" {
			t.Errorf("identity of a third session: %v", w["identity"])
		}
	})
}

func TestHello(t *testing.T) {
	net := memnet.New()
	n := process(t, net.Endpoint("server"), engine.Limits{})
	room := open(t, n, engine.RoomConfig{Password: "secret"})
	for name, c := range map[string]struct {
		first string
		code  Code
		close int
	}{
		"something else":      {`{"op":"ping","id":1}`, CodeHelloExpected, CloseProtocol},
		"not JSON":            {`hello`, CodeHelloExpected, CloseProtocol},
		"password a number":   {`{"op":"hello","password":1}`, CodeHelloExpected, CloseProtocol},
		"password missing":    {`{"op":"hello"}`, CodePassword, ClosePolicy},
		"password wrong":      {`{"op":"hello","password":"Secret"}`, CodePassword, ClosePolicy},
		"password in the end": {`{"password":"secret","op":"hello"}`, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := dial(t, Config{Room: room})
			s.sayRaw([]byte(c.first))
			if c.code == "" {
				s.hear("welcome")
				return
			}
			s.refused(c.code, 0)
			s.over(c.close, string(c.code))
		})
	}
	t.Run("twice", func(t *testing.T) {
		s := dial(t, Config{Room: room})
		s.say(`{"op":"hello","password":"secret"}`)
		s.hear("welcome")
		s.say(`{"op":"hello","password":"secret"}`)
		s.refused(CodeHelloExpected, 0)
		s.over(CloseProtocol, "hello_expected")
	})
	t.Run("room full", func(t *testing.T) {
		full := open(t, process(t, net.Endpoint("small"), engine.Limits{SeatsPerRoom: 1}), engine.RoomConfig{Name: "full"})
		enter(t, Config{Room: full})
		s := dial(t, Config{Room: full})
		s.say(`{"op":"hello"}`)
		s.refused(CodeRoomFull, 0)
		s.over(CloseTryAgain, "room full")
	})
}

func TestHelloTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := lone(t)
		start := time.Now()
		late := dial(t, Config{Room: room})
		late.refused(CodeHelloTimeout, 0)
		late.over(CloseProtocol, "hello_timeout")
		if d := time.Since(start); d != helloTime {
			t.Errorf("after %v", d)
		}
		c := dial(t, Config{Room: room})
		time.Sleep(helloTime - time.Second)
		c.say(`{"op":"hello"}`)
		c.hear("welcome")
		time.Sleep(10 * helloTime)
		c.say(`{"op":"ping","id":1}`)
		c.expect(`{"op":"pong","id":1}`)
	})
}

// TestMessages has every kind of data on its way from each encoding to each.
func TestMessages(t *testing.T) {
	room := lone(t)
	clients := map[string]*client{}
	for _, name := range []string{"json1", "json2", "msgpack1", "msgpack2"} {
		clients[name] = enter(t, Config{Room: room, Codec: codecNamed(strings.TrimRight(name, "12"))})
	}
	seqs := map[string]int{}
	last := 0.0
	for _, from := range []string{"json1", "msgpack1", "json2"} {
		for _, body := range []string{
			`"data":"text ☃"`, `"data":""`, `"data":1`, `"data":-1.5`, `"data":true`, `"data":null`, `"data":[1,["a"]]`,
			`"data":{"text":"hi"}`, `"data":{"$bin":"AAEC"}`, `"data":{"$bin":""}`, `"data":{"$bin":"AAEC"},"meta":{"name":"a.bin"}`,
			`"data":"text","meta":[1]`,
		} {
			seqs[from]++
			sender := clients[from]
			sender.say(`{"op":"send","seq":%d,"channel":"kanal-☃",%s}`, seqs[from], body)
			sender.expect(`{"op":"ack","seq":%d}`, seqs[from])
			var seq float64
			for name, c := range clients {
				if name == from {
					continue
				}
				m := c.hear("message")
				seq = m["seq"].(float64)
				delete(m, "seq")
				want := map[string]any{}
				unmarshal(t, fmt.Sprintf(`{"op":"message","channel":"kanal-☃","from":%q,%s}`, sender.id, body), &want)
				if got, want := toJSON(t, m), toJSON(t, want); got != want {
					t.Fatalf("%s to %s\ngot  %s\nwant %s", from, name, got, want)
				}
			}
			if seq <= last {
				t.Fatalf("seq %v after %v", seq, last)
			}
			last = seq
		}
	}
}

func TestDirected(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := lone(t)
		a, b, c := enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room, Codec: codec})
		a.peer("join", c.id)
		for seq, to := range []string{1: fmt.Sprintf("%q", b.id), 2: fmt.Sprintf("[%q,%q]", c.id, b.id), 3: "[]", 4: "null"} {
			if to != "" {
				a.say(`{"op":"send","seq":%d,"channel":"c","data":%d,"to":%s}`, seq, seq, to)
				a.expect(`{"op":"ack","seq":%d}`, seq)
			}
		}
		for _, want := range []float64{1, 2, 4} {
			if m := b.hear("message"); m["data"] != want {
				t.Errorf("b got %v, want %v", m["data"], want)
			}
		}
		for _, want := range []float64{2, 4} {
			if m := c.hear("message"); m["data"] != want {
				t.Errorf("c got %v, want %v", m["data"], want)
			}
		}
	})
}

func TestUnknownPeer(t *testing.T) {
	room := lone(t)
	a, b := enter(t, Config{Room: room}), enter(t, Config{Room: room})
	a.peer("join", b.id)
	a.say(`{"op":"send","seq":5,"channel":"c","data":1,"to":["nobody",%q]}`, b.id)
	var acked, told bool
	for !acked || !told {
		switch m := a.next(); m["op"] {
		case "ack":
			acked = m["seq"] == 5.0
		case "result":
			told = m["seq"] == 5.0 && m["peer"] == "nobody" && m["error"] == "unknown_peer" && m["message"] != ""
		default:
			t.Fatalf("got %v", m)
		}
	}
	b.hear("message") // the other recipient is unaffected
}

func TestSeq(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := lone(t)
		a, b := enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room, Codec: codec})
		for _, s := range []struct{ seq, ack int }{{1, 1}, {1, 1}, {5, 5}, {2, 5}, {5, 5}, {6, 6}} {
			a.say(`{"op":"send","seq":%d,"channel":"c","data":%d}`, s.seq, s.seq)
			a.expect(`{"op":"ack","seq":%d}`, s.ack)
		}
		for _, want := range []float64{1, 5, 6} {
			if m := b.hear("message"); m["data"] != want {
				t.Errorf("got %v, want %v", m["data"], want)
			}
		}
		a.say(`{"op":"ack","seq":9}`) // is not needed, and harms nothing
		a.say(`{"op":"ping","id":1}`)
		a.expect(`{"op":"pong","id":1}`)
	})
}

// TestAcksAreCumulative: a burst needs few acknowledgements.
func TestAcksAreCumulative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enter(t, Config{Room: lone(t)})
		const n = maxReplies
		for seq := range n {
			a.say(`{"op":"send","seq":%d,"channel":"c","data":1}`, seq+1)
		}
		synctest.Wait()
		acks := 0
		for last := 0.0; last < n; acks++ {
			seq := a.hear("ack")["seq"].(float64)
			if seq <= last {
				t.Fatalf("%v acknowledged after %v", seq, last)
			}
			last = seq
		}
		// Two may have been on their way before the others came.
		if acks > 3 {
			t.Errorf("%d acknowledgements", acks)
		}
	})
}

func TestErrors(t *testing.T) {
	counters := new(Counters)
	a := enter(t, Config{Room: lone(t), Limits: Limits{Message: 100}, Counters: counters})
	long := strings.Repeat("x", engine.MaxPeerID+1)
	seq := uint64(0)
	for _, c := range []struct {
		say  string // %d is the next seq
		code Code
	}{
		{`no JSON`, CodeBadMessage},
		{`[]`, CodeBadMessage},
		{`{"seq":1}`, CodeBadMessage},
		{`{"op":"dance"}`, CodeUnknownOp},
		{`{"op":"welcome"}`, CodeUnknownOp},
		{`{"op":"message","seq":1,"channel":"c","from":"x","data":1}`, CodeUnknownOp},
		{`{"op":"send","channel":"c","data":1}`, CodeBadSeq},
		{`{"op":"send","seq":0,"channel":"c","data":1}`, CodeBadSeq},
		{`{"op":"send","seq":-1,"channel":"c","data":1}`, CodeBadSeq},
		{`{"op":"send","seq":1.5,"channel":"c","data":1}`, CodeBadSeq},
		{`{"op":"send","seq":9007199254740992,"channel":"c","data":1}`, CodeBadSeq},
		{`{"op":"send","seq":%d,"data":1}`, CodeChannelName},
		{`{"op":"send","seq":%d,"channel":"","data":1}`, CodeChannelName},
		{`{"op":"send","seq":%d,"channel":"thirteen chars","data":1}`, CodeChannelName},
		{`{"op":"send","seq":%d,"channel":"☃☃☃☃☃","data":1}`, CodeChannelName},
		{`{"op":"send","seq":%d,"channel":"@_ping","data":1}`, CodeChannelName},
		{`{"op":"send","seq":%d,"channel":"c"}`, CodeBadData},
		{`{"op":"send","seq":%d,"channel":"c","data":{"$bin":"?"}}`, CodeBadData},
		{`{"op":"send","seq":%d,"channel":"c","data":"` + strings.Repeat("x", 101) + `"}`, CodeTooLarge},
		{`{"op":"send","seq":%d,"channel":"c","data":"` + strings.Repeat("x", 90) + `","meta":"123456789"}`, CodeTooLarge},
		{`{"op":"send","seq":%d,"channel":"c","data":1,"to":5}`, CodeBadMessage},
		{`{"op":"send","seq":%d,"channel":"c","data":1,"to":"` + long + `"}`, CodeBadMessage},
		{`{"op":"send","seq":%d,"channel":"c","data":1,"to":[` + strings.Repeat(`"x",`, engine.MaxRecipients) + `"x"]}`, CodeTooMany},
		{`{"op":"ping","id":"1"}`, CodeBadMessage},
		{`{"op":"ping","id":1,"peer":"` + long + `"}`, CodeBadMessage},
		{`{"op":"pong"}`, CodeBadMessage},
		{`{"op":"ack"}`, CodeBadSeq},
	} {
		if strings.Contains(c.say, "%d") {
			seq++
			a.sayRaw([]byte(strings.Replace(c.say, "%d", fmt.Sprint(seq), 1)))
			a.refused(c.code, seq)
			a.expect(`{"op":"ack","seq":%d}`, seq)
			continue
		}
		a.sayRaw([]byte(c.say))
		a.refused(c.code, 0)
	}
	a.say(`{"op":"send","seq":%d,"channel":"c","data":"%s","meta":"123456789"}`, seq+1, strings.Repeat("x", 89))
	a.expect(`{"op":"ack","seq":%d}`, seq+1)
	if n := counters.Errors()[CodeBadSeq]; n != 6 {
		t.Errorf("%d bad_seq counted", n)
	}
}

func TestTooManyErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enter(t, Config{Room: lone(t)})
		provoke := func(n int) {
			for range n {
				a.say(`{"op":"dance"}`)
				a.refused(CodeUnknownOp, 0)
			}
		}
		provoke(99)
		time.Sleep(faultTime)
		provoke(50)
		time.Sleep(faultTime / 2)
		provoke(49)
		time.Sleep(faultTime / 2)
		provoke(51)
		a.refused(CodeTooManyErrors, 0)
		a.over(ClosePolicy, "too_many_errors")
	})
}

// TestRepliesAreBounded: of a client that provokes replies and does not read
// them, little is read.
func TestRepliesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enter(t, Config{Room: lone(t)})
		said, start := 0, time.Now()
		for {
			select {
			case a.in <- packet{[]byte(`{"op":"ping","id":1}`), false}:
				if time.Since(start) == 0 { // later it is the end that is read on to
					said++
				}
				continue
			case <-a.closed:
			}
			break
		}
		// Some are being written, others wait, and one could not be queued.
		if said > 2*maxReplies+1 {
			t.Errorf("%d messages were read", said)
		}
		a.over(CloseTryAgain, "slow: ")
	})
}

// TestSlowClient: who does not read is cut off, alone.
func TestSlowClient(t *testing.T) {
	for reason, back := range map[string]bool{
		"slow: more than 10000 bytes waiting": true,
		"slow: ":                              false,
	} {
		t.Run(fmt.Sprintf("back %v", back), func(t *testing.T) {
			eachCodec(t, func(t *testing.T, codec Codec) {
				synctest.Test(t, func(t *testing.T) {
					counters := new(Counters)
					cfg := Config{Room: lone(t), Codec: codec, Limits: Limits{Pending: 10_000, Resume: 30 * time.Second}, Counters: counters}
					slow, good, sender := enter(t, cfg), enter(t, cfg), enter(t, cfg)
					slow.peer("join", sender.id)
					good.peer("join", sender.id)
					start := time.Now()
					for seq := range 100 {
						sender.say(`{"op":"send","seq":%d,"channel":"c","data":"%1000d"}`, seq+1, seq)
						sender.expect(`{"op":"ack","seq":%d}`, seq+1)
						if got := good.hear("message")["data"]; got != fmt.Sprintf("%1000d", seq) {
							t.Fatalf("message %d: got %v", seq, got)
						}
					}
					if time.Since(start) > 0 {
						t.Error("somebody waited for the slow client")
					}
					if back {
						time.Sleep(patience / 2)
						slow.over(CloseTryAgain, reason)
					}
					slow.over(CloseTryAgain, reason)
					if d := time.Since(start); d > patience+time.Second {
						t.Errorf("cut off after %v", d)
					}
					sender.peer("leave", slow.id) // once it was not resumed
					good.peer("leave", slow.id)
					if counters.Slow() != 1 {
						t.Errorf("%d slow clients counted", counters.Slow())
					}
				})
			})
		})
	}
}

// TestRepliesFirst: however much waits for a client, it is answered soon.
func TestRepliesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := lone(t)
		a, sender := enter(t, Config{Room: room}), enter(t, Config{Room: room})
		a.peer("join", sender.id)
		const n = 1000
		for seq := range n {
			sender.say(`{"op":"send","seq":%d,"channel":"c","data":1}`, seq+1)
			sender.hear("ack")
		}
		for range n / 2 {
			a.hear("message")
		}
		a.say(`{"op":"ping","id":1}`)
		synctest.Wait() // it is read
		for got := 0; a.next()["op"] != "pong"; got++ {
			if got > 2*writeCount { // a piece is under way
				t.Fatalf("no pong after %d messages", got)
			}
		}
	})
}

func TestLeave(t *testing.T) {
	room := lone(t)
	a, b := enter(t, Config{Room: room}), enter(t, Config{Room: room})
	a.peer("join", b.id)
	b.say(`{"op":"send","seq":1,"channel":"c","data":"last words"}`)
	b.say(`{"op":"leave"}`)
	b.over(CloseNormal, "left")
	a.hear("message")
	a.expect(`{"op":"peer","event":"leave","peer":%q,"type":"session"}`, b.id)
}

func TestConnectionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := lone(t)
		a, b := enter(t, Config{Room: room}), enter(t, Config{Room: room, Limits: Limits{Resume: 30 * time.Second}})
		start := time.Now()
		b.pipe.Close(1006, "cut")
		<-b.ended
		a.peer("leave", b.id)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("it left after %v", d)
		}
	})
}

func TestWrongType(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		a := enter(t, Config{Room: lone(t), Codec: codec})
		a.in <- packet{[]byte(`{"op":"leave"}`), !codec.Binary()}
		a.over(CloseUnsupported, "")
		b := dial(t, Config{Room: lone(t), Codec: codec})
		b.in <- packet{[]byte(`{"op":"hello"}`), !codec.Binary()}
		b.over(CloseUnsupported, "")
	})
}

func TestServerStops(t *testing.T) {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	room := lone(t)
	greeted := dialIn(ctx, t, Config{Room: room})
	greeted.say(`{"op":"hello"}`)
	greeted.hear("welcome")
	silent := dialIn(ctx, t, Config{Room: room})
	stop(Stopping)
	greeted.over(CloseGoingAway, "server stopping")
	silent.over(CloseGoingAway, "server stopping")
}

func TestRoomCloses(t *testing.T) {
	room := lone(t)
	a := enter(t, Config{Room: room})
	if err := room.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.over(CloseGoingAway, "room closed")
	b := dial(t, Config{Room: room})
	b.say(`{"op":"hello"}`)
	b.over(CloseGoingAway, "room closed")
}

func TestPing(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		synctest.Test(t, func(t *testing.T) {
			room := lone(t)
			a, b := enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room, Codec: codec})
			a.say(`{"op":"ping","id":9007199254740991}`)
			a.expect(`{"op":"pong","id":9007199254740991}`)

			for id := range 3 {
				a.say(`{"op":"ping","id":%d,"peer":%q}`, id, b.id)
				b.say(`{"op":"pong","id":%v}`, b.hear("ping")["id"])
				a.expect(`{"op":"pong","id":%d,"peer":%q}`, id, b.id)
			}
			a.say(`{"op":"ping","id":4,"peer":"nobody"}`)
			a.expect(`{"op":"pong","id":4,"peer":"nobody","error":"unknown_peer"}`)

			start := time.Now()
			a.say(`{"op":"ping","id":5,"peer":%q}`, b.id)
			b.hear("ping")
			b.say(`{"op":"pong","id":77}`) // answers nothing
			a.expect(`{"op":"pong","id":5,"peer":%q,"error":"timeout"}`, b.id)
			if d := time.Since(start); d < 10*time.Second || d > 16*time.Second {
				t.Errorf("timeout after %v", d)
			}

			a.say(`{"op":"ping","id":6,"peer":%q}`, b.id)
			b.hear("ping")
			b.say(`{"op":"leave"}`)
			b.over(CloseNormal, "left")
			a.expect(`{"op":"pong","id":6,"peer":%q,"error":"gone"}`, b.id)
		})
	})
}

func TestTooManyPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := lone(t)
		a, b := enter(t, Config{Room: room}), enter(t, Config{Room: room})
		for id := range 256 {
			a.say(`{"op":"ping","id":%d,"peer":%q}`, id+1, b.id)
			b.hear("ping")
		}
		a.say(`{"op":"ping","id":300,"peer":%q}`, b.id)
		m := a.hear("error")
		if m["code"] != "too_many" || m["id"] != 300.0 {
			t.Errorf("got %v", m)
		}
		ids := map[any]bool{}
		for range 256 {
			m := a.hear("pong")
			if m["error"] != "timeout" || ids[m["id"]] {
				t.Fatalf("got %v", m)
			}
			ids[m["id"]] = true
		}
		a.say(`{"op":"ping","id":300,"peer":%q}`, b.id) // there is room again
		b.hear("ping")
	})
}

// TestPingsAreBounded: what a client does not answer is forgotten.
func TestPingsAreBounded(t *testing.T) {
	var p pings
	for token := range uint64(10 * maxPings) {
		if id := p.asked(token + 1000); id != token+1 {
			t.Fatalf("id %d", id)
		}
	}
	if len(p.tokens) != maxPings {
		t.Errorf("%d wait", len(p.tokens))
	}
	if token, ok := p.answered(10 * maxPings); !ok || token != 10*maxPings+999 {
		t.Errorf("got %d, %v", token, ok)
	}
	if _, ok := p.answered(10 * maxPings); ok {
		t.Error("answered twice")
	}
	if _, ok := p.answered(1); ok {
		t.Error("the oldest is still there")
	}
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
