package session

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// secret enters and returns what the session can be resumed by.
func secret(t *testing.T, cfg Config) (*client, string) {
	t.Helper()
	c := dial(t, cfg)
	c.say(`{"op":"hello"}`)
	w := c.hear("welcome")
	c.id = w["peer"].(string)
	return c, w["resume"].(string)
}

// resume comes back, and returns the welcome.
func resume(t *testing.T, cfg Config, token string, ack int) (*client, map[string]any) {
	t.Helper()
	c := dial(t, cfg)
	c.say(`{"op":"hello","resume":%q,"ack":%d}`, token, ack)
	w := c.hear("welcome")
	c.id = w["peer"].(string)
	return c, w
}

func (c *client) cut() {
	c.pipe.Close(1006, "cut")
	<-c.ended
}

func (c *client) send(seq int, to ...string) {
	c.t.Helper()
	more := ""
	if len(to) > 0 {
		more = fmt.Sprintf(`,"to":%q`, to[0])
	}
	c.say(`{"op":"send","seq":%d,"channel":"c","data":%d%s}`, seq, seq, more)
	c.expect(`{"op":"ack","seq":%d}`, seq)
}

// TestResume: what was missed comes, each once and in order, nobody sees the
// client leave, and both sides know where the other is.
func TestResume(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		synctest.Test(t, func(t *testing.T) {
			cfg := Config{Room: lone(t), Codec: codec}
			a := enter(t, cfg)
			b, token := secret(t, cfg)
			a.peer("join", b.id)
			for seq := 1; seq <= 2; seq++ {
				b.send(seq)
				a.hear("message")
			}
			a.send(1)
			a.send(2)
			first := b.hear("message")["seq"].(float64)
			b.hear("message")
			b.cut()
			a.send(3)
			a.send(4, b.id)
			a.say(`{"op":"send","seq":5,"channel":"c","data":5,"to":[]}`) // not for b
			a.expect(`{"op":"ack","seq":5}`)
			time.Sleep(119 * time.Second)

			b, w := resume(t, cfg, token, int(first))
			if w["resumed"] != true || w["peer"] != b.id || w["ack"] != 2.0 || w["resume"] != token || w["reason"] != nil {
				t.Fatalf("welcome %v", w)
			}
			if !strings.Contains(toJSON(t, w["peers"]), a.id) {
				t.Errorf("peers %v", w["peers"])
			}
			last := first
			for _, want := range []float64{2, 3, 4} {
				m := b.hear("message")
				if m["data"] != want || m["from"] != a.id || m["seq"].(float64) <= last {
					t.Errorf("got %v after %v, want %v", m, last, want)
				}
				last = m["seq"].(float64)
			}
			b.say(`{"op":"send","seq":2,"channel":"c","data":2}`) // is a repetition
			b.expect(`{"op":"ack","seq":2}`)
			b.send(3)
			if m := a.next(); m["data"] != 3.0 { // and no peer event
				t.Errorf("a got %v", m)
			}
			a.send(6)
			if m := b.hear("message"); m["data"] != 6.0 {
				t.Errorf("got %v", m)
			}
		})
	})
}

// TestNotResumed: a session that cannot be resumed is a new one, and says why.
func TestNotResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{Journal: 10_000}), engine.RoomConfig{})
		cfg := Config{Room: room, Limits: Limits{Resume: time.Minute}}
		wants := func(token, reason string) {
			t.Helper()
			c, w := resume(t, cfg, token, 0)
			if w["resumed"] != false || w["reason"] != reason || w["resume"] == token || w["ack"] != 0.0 {
				t.Errorf("got %v, want %s", w, reason)
			}
			c.say(`{"op":"leave"}`)
			c.over(CloseNormal, "left")
		}
		wants("no such token", "unknown")

		a, token := secret(t, cfg)
		a.cut()
		time.Sleep(time.Minute)
		synctest.Wait()
		wants(token, "expired")

		a, token = secret(t, cfg)
		a.say(`{"op":"leave"}`)
		a.over(CloseNormal, "left")
		wants(token, "left")

		a, token = secret(t, cfg)
		a.say(`{"op":"hello"}`)
		a.over(CloseProtocol, "hello_expected")
		wants(token, "left")

		a, token = secret(t, cfg)
		a.cut()
		b := enter(t, cfg)
		for seq := range 100 {
			b.say(`{"op":"send","seq":%d,"channel":"c","data":"%1000d"}`, seq+1, seq)
			b.expect(`{"op":"ack","seq":%d}`, seq+1)
		}
		wants(token, "overflow")
		wants(token, "overflow")
	})
}

// TestResumedElsewhere: of two connections with one session the newer has it.
func TestResumedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t)}
		a := enter(t, cfg)
		b, token := secret(t, cfg)
		a.peer("join", b.id)
		newer, w := resume(t, cfg, token, 0)
		if w["resumed"] != true {
			t.Fatalf("got %v", w)
		}
		b.over(CloseResumed, "resumed elsewhere")
		a.send(1)
		if m := newer.hear("message"); m["data"] != 1.0 {
			t.Errorf("got %v", m)
		}
		newer.send(1)
		a.hear("message")
	})
}

// TestPasswordIsNotNeededToResume, but for a new session.
func TestPasswordIsNotNeededToResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{Password: "secret"})
		cfg := Config{Room: room}
		a := dial(t, cfg)
		a.say(`{"op":"hello","password":"secret"}`)
		token := a.hear("welcome")["resume"].(string)
		a.cut()
		if _, w := resume(t, cfg, token, 0); w["resumed"] != true {
			t.Errorf("got %v", w)
		}
		stranger := dial(t, cfg)
		stranger.say(`{"op":"hello","resume":"no such token"}`)
		stranger.refused(CodePassword, 0)
		stranger.over(ClosePolicy, "password")
	})
}

// TestLastingEvents: what became of sends is told also to who was away, and to
// who may not have heard it.
func TestLastingEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t)}
		b, token := secret(t, cfg)
		a := enter(t, cfg)
		b.peer("join", a.id)
		b.say(`{"op":"send","seq":1,"channel":"c","data":1,"to":"nobody"}`)
		for b.next()["op"] != "result" { // it is lost on the way
		}
		b.cut()
		b, _ = resume(t, cfg, token, 0)
		if m := b.hear("result"); m["seq"] != 1.0 {
			t.Errorf("got %v", m)
		}
		a.send(1)
		seq := b.hear("message")["seq"].(float64)
		b.say(`{"op":"send","seq":2,"channel":"c","data":1,"to":"nobody"}`)
		for b.next()["op"] != "result" {
		}
		a.say(`{"op":"send","seq":2,"channel":"c","data":1}`)
		later := b.hear("message")["seq"].(float64)
		b.say(`{"op":"ping","id":7,"peer":%q}`, a.id)
		for a.next()["op"] != "ping" {
		}
		synctest.Wait()
		b.cut()
		a.say(`{"op":"pong","id":1}`)
		b, _ = resume(t, cfg, token, int(later))
		if m := b.next(); m["op"] != "pong" || m["id"] != 7.0 {
			t.Errorf("got %v", m)
		}
		b.cut()
		b, _ = resume(t, cfg, token, int(seq))
		if m := b.next(); m["op"] != "pong" || m["id"] != 7.0 {
			t.Errorf("the client may not have the pong: got %v", m)
		}
	})
}

// TestSlowClientResumes: who was cut off as slow reads on at its own pace.
func TestSlowClientResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t), Limits: Limits{Pending: 10_000}}
		a := enter(t, cfg)
		b, token := secret(t, cfg)
		const n = 500
		for seq := range n {
			a.say(`{"op":"send","seq":%d,"channel":"c","data":"%1000d"}`, seq+1, seq)
			a.expect(`{"op":"ack","seq":%d}`, seq+1)
		}
		got, ack := 0, 0
		for more := true; more; {
			switch m := b.next(); {
			case m == nil:
				b.over(CloseTryAgain, "slow: more than 10000 bytes waiting")
				more = false
			case m["op"] == "message":
				got, ack = got+1, int(m["seq"].(float64))
			}
		}
		b, w := resume(t, cfg, token, ack)
		if w["resumed"] != true {
			t.Fatalf("got %v", w)
		}
		for ; got < n; got++ {
			m := b.hear("message")
			if m["data"] != fmt.Sprintf("%1000d", got) {
				t.Fatalf("message %d: got %v", got, m)
			}
			b.say(`{"op":"ack","seq":%v}`, m["seq"])
		}
	})
}

// TestWindow: a client that acknowledges is not sent more than may be on its way;
// if it stops to, it is cut off.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t)}
		a := enter(t, cfg)
		b, token := secret(t, cfg)
		send := func(seq int) {
			a.say(`{"op":"send","seq":%d,"channel":"c","data":"%1000d"}`, seq, seq)
			a.expect(`{"op":"ack","seq":%d}`, seq)
		}
		send(1)
		first := b.hear("message")["seq"]
		b.say(`{"op":"ack","seq":%v}`, first)
		for seq := 2; seq <= 900; seq++ {
			send(seq)
		}
		got, last := 0, 0.0
		for more := true; more; {
			select {
			case p := <-b.out:
				if m := b.read(p); m["op"] == "message" {
					got, last = got+1, m["seq"].(float64)
				}
			case <-time.After(time.Second):
				more = false
			}
		}
		if got < 60 || got > 128 {
			t.Errorf("%d messages of 1 KB were sent at once", got)
		}
		b.say(`{"op":"ack","seq":%v}`, last)
		for range 100 {
			b.hear("message")
		}
		start := time.Now()
		b.over(CloseTryAgain, "slow: messages are not acknowledged")
		if d := time.Since(start); d < 10*time.Second || d > 40*time.Second {
			t.Errorf("cut off after %v", d)
		}
		b, w := resume(t, cfg, token, int(last))
		if w["resumed"] != true {
			t.Fatalf("got %v", w)
		}
		for range 100 { // the window holds from the beginning
			b.hear("message")
		}
		start = time.Now()
		b.over(CloseTryAgain, "slow: messages are not acknowledged")
		if d := time.Since(start); d < 10*time.Second || d > 40*time.Second {
			t.Errorf("cut off after %v", d)
		}
	})
}

// TestHistory: who comes late can ask for what was said before.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t)}
		a, b := enter(t, cfg), enter(t, cfg)
		a.peer("join", b.id)
		for seq := 1; seq <= 10; seq += 2 {
			a.send(seq)
			a.send(seq+1, b.id)
		}
		c := dial(t, cfg)
		c.say(`{"op":"hello","history":3}`)
		c.hear("welcome")
		a.send(11)
		for _, want := range []float64{5, 7, 9, 11} {
			m := c.hear("message")
			if m["data"] != want || (m["history"] == true) != (want < 11) {
				t.Errorf("got %v, want %v", m, want)
			}
		}
	})
}

// TestTooManyWait: who opens session after session and drops them pushes out his
// own.
func TestTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t), Owner: "a", PerOwner: 3}
		other := cfg
		other.Owner = "b"
		b, tokenB := secret(t, other)
		b.cut()
		var tokens []string
		for range 5 {
			a, token := secret(t, cfg)
			a.cut()
			synctest.Wait()
			time.Sleep(time.Second)
			tokens = append(tokens, token)
		}
		if n := cfg.Room.Stats().Seats; n != 4 {
			t.Errorf("%d seats", n)
		}
		for i, token := range tokens[2:] {
			if c, w := resume(t, cfg, token, 0); w["resumed"] != true {
				t.Errorf("%d: got %v", i, w)
			} else {
				c.cut()
			}
		}
		if _, w := resume(t, other, tokenB, 0); w["resumed"] != true {
			t.Errorf("another's: got %v", w)
		}
		if _, w := resume(t, cfg, tokens[1], 0); w["reason"] != "expired" {
			t.Errorf("got %v", w)
		}
	})
}

// TestResultsAreBounded: of the results that wait for a client, the newest are
// kept.
func TestResultsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := process(t, memnet.New().Endpoint("server"), engine.Limits{})
		cfg := Config{Room: open(t, n, engine.RoomConfig{})}
		b, token := secret(t, cfg)
		const sends, kept = 1500, 1024
		for seq := range sends {
			b.say(`{"op":"send","seq":%d,"channel":"c","data":1,"to":"nobody"}`, seq+1)
		}
		synctest.Wait()
		b.cut()
		b, w := resume(t, cfg, token, 0)
		if w["ack"] != float64(sends) {
			t.Errorf("welcome %v", w)
		}
		for seq := sends - kept + 1; seq <= sends; seq++ {
			if m := b.hear("result"); m["seq"] != float64(seq) {
				t.Fatalf("got %v, want the result of %d", m, seq)
			}
		}
		b.say(`{"op":"ping","id":1}`)
		b.expect(`{"op":"pong","id":1}`)
		if n.Stats().Dropped["seat: too many results wait for it"] == 0 {
			t.Errorf("%v", n.Stats().Dropped)
		}
	})
}

// TestDurable: what is acknowledged would survive a power cut; repetitions and
// refused sends wait for those before them.
func TestDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{Durable: true})
		a, b := enter(t, Config{Room: room}), enter(t, Config{Room: room})
		a.peer("join", b.id)
		for seq := 1; seq <= 3; seq++ {
			a.send(seq)
			b.hear("message")
		}
		a.say(`{"op":"send","seq":4,"channel":"c","data":4}`)
		a.say(`{"op":"send","seq":4,"channel":"c","data":4}`)
		a.say(`{"op":"send","seq":5,"channel":"@_","data":5}`)
		for last := 3.0; last < 5; {
			switch m := a.next(); m["op"] {
			case "ack":
				if seq := m["seq"].(float64); seq < last {
					t.Fatalf("%v acknowledged after %v", seq, last)
				} else {
					last = seq
				}
			case "error":
				if m["seq"] != 5.0 {
					t.Errorf("got %v", m)
				}
			}
		}
	})
}
