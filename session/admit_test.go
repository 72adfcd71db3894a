package session

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// tokens admits by token, and with the password "sesame".
func tokens(grants map[string]Grant) func(token, password string) (Grant, *Error) {
	return func(token, password string) (Grant, *Error) {
		if grant, ok := grants[token]; ok {
			return grant, nil
		}
		if password == "sesame" {
			return Grant{}, nil
		}
		return Grant{}, fault(CodeToken, "the room needs credentials")
	}
}

func TestAdmission(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		cfg := Config{Room: lone(t), Codec: codec, Admit: tokens(map[string]Grant{"ada": {User: "Ada L."}})}
		for _, hello := range []string{
			`{"op":"hello"}`, `{"op":"hello","token":"eve"}`, `{"op":"hello","password":"x"}`, `{"op":"hello","resume":"x"}`,
		} {
			c := dial(t, cfg)
			c.say("%s", hello)
			c.refused(CodeToken, 0)
			c.over(ClosePolicy, "token")
		}
		c := dial(t, cfg)
		c.say(`{"op":"hello","token":"ada"}`)
		if m := c.hear("welcome"); m["user"] != "Ada L." {
			t.Errorf("welcome %v", m)
		}
		c = dial(t, cfg)
		c.say(`{"op":"hello","password":"sesame"}`)
		if m := c.hear("welcome"); m["user"] != nil {
			t.Errorf("welcome %v", m)
		}
	})
}

// A session's channels are those of its grant: of others it hears nothing, live,
// as history or when it resumes, and on others it cannot send.
func TestGrantedChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		grants := map[string]Grant{
			"all":     {},
			"speaker": {Publish: []string{"out*"}, Subscribe: []string{}},
			"hearer":  {Publish: []string{}, Subscribe: []string{"in"}},
		}
		cfg := Config{Room: lone(t), Admit: tokens(grants)}
		join := func(token, more string) (*client, string) {
			c := dial(t, cfg)
			c.say(`{"op":"hello","token":%q%s}`, token, more)
			m := c.hear("welcome")
			c.id = m["peer"].(string)
			return c, m["resume"].(string)
		}
		all, _ := join("all", "")
		hearer, secret := join("hearer", "")
		speaker, _ := join("speaker", "")

		speaker.say(`{"op":"send","seq":1,"channel":"in","data":1}`)
		speaker.refused(CodeForbidden, 1)
		speaker.expect(`{"op":"ack","seq":1}`)
		speaker.say(`{"op":"begin","transfer":1,"channel":"in","size":1,"kind":"bytes"}`)
		if m := speaker.hear("error"); m["code"] != "forbidden" || m["transfer"] != 1. {
			t.Errorf("%v", m)
		}
		speaker.say(`{"op":"send","seq":2,"channel":"out1","data":"said"}`)
		speaker.expect(`{"op":"ack","seq":2}`)
		if m := all.hear("message"); m["data"] != "said" {
			t.Errorf("%v", m)
		}

		say := func(seq int, channel, data, more string) {
			all.say(`{"op":"send","seq":%d,"channel":%q,"data":%q%s}`, seq, channel, data, more)
			told := map[string]map[string]any{} // in any order
			for want := 1 + min(len(more), 1); len(told) < want; {
				if m := all.next(); m["op"] != "peer" {
					told[m["op"].(string)] = m
				}
			}
			if m := told["ack"]; m["seq"] != float64(seq) {
				t.Errorf("%v", told)
			}
			if m := told["result"]; more != "" && (m["error"] != "forbidden" || m["peer"] != hearer.id || m["seq"] != float64(seq)) {
				t.Errorf("%v", told)
			}
		}
		say(1, "secret", "x", "")
		say(2, "in", "first", "")
		if m := hearer.hear("message"); m["data"] != "first" {
			t.Errorf("%v", m)
		}
		say(3, "secret", "x", `,"to":"`+hearer.id+`"`)
		// A transfer to all is not for it, one to it is refused.
		all.say(`{"op":"begin","transfer":1,"channel":"secret","size":1,"kind":"bytes","to":%q}`, hearer.id)
		if m := all.hear("result"); m["error"] != "forbidden" || m["transfer"] != 1. {
			t.Errorf("%v", m)
		}
		all.hear("cancel") // nobody is left

		hearer.pipe.Close(1006, "")
		say(4, "secret", "x", "")
		say(5, "in", "second", "")
		synctest.Wait()
		hearer = dial(t, cfg)
		hearer.say(`{"op":"hello","token":"hearer","resume":%q,"ack":0}`, secret)
		if m := hearer.hear("welcome"); m["resumed"] != true {
			t.Fatalf("%v", m)
		}
		for _, want := range []string{"first", "second"} {
			if m := hearer.hear("message"); m["data"] != want {
				t.Errorf("resumed: %v, want %q", m, want)
			}
		}
		late, _ := join("hearer", `,"history":100`)
		for _, want := range []string{"first", "second"} {
			if m := late.hear("message"); m["data"] != want {
				t.Errorf("history: %v, want %q", m, want)
			}
		}
		// What is not for it does not count as on its way to it.
		late.say(`{"op":"ack","seq":1}`)
		for i := range 400 {
			say(6+i, "secret", strings.Repeat("x", 1000), "")
		}
		time.Sleep(time.Minute)
		say(1000, "in", "third", "")
		if m := late.hear("message"); m["data"] != "third" {
			t.Errorf("%v", m)
		}
	})
}

// When a grant ends, so does the connection, not the session.
func TestGrantExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked, revoke := context.WithCancelCause(t.Context())
		start := time.Now()
		cfg := Config{Room: lone(t), Revoked: revoked, Admit: func(token, _ string) (Grant, *Error) {
			switch token {
			case "short":
				return Grant{Expires: start.Add(30 * time.Second)}, nil
			case "long":
				return Grant{Expires: start.Add(time.Hour)}, nil
			}
			return Grant{}, fault(CodeTokenExpired, "the token has expired")
		}}
		c := dial(t, cfg)
		c.say(`{"op":"hello","token":"short"}`)
		m := c.hear("welcome")
		c.refused(CodeTokenExpired, 0)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("expired after %v", d)
		}
		c.over(CloseCredentials, "token_expired")

		refused := dial(t, cfg)
		refused.say(`{"op":"hello","resume":%q}`, m["resume"])
		refused.refused(CodeTokenExpired, 0)
		refused.over(ClosePolicy, "token_expired")

		c = dial(t, cfg)
		c.say(`{"op":"hello","token":"long","resume":%q}`, m["resume"])
		if again := c.hear("welcome"); again["resumed"] != true || again["peer"] != m["peer"] {
			t.Errorf("%v", again)
		}
		other := dial(t, cfg)
		other.say(`{"op":"hello","token":"long"}`)
		other.hear("welcome")
		revoke(&Error{Code: CodeToken, Text: "the token is not valid"})
		c.hear("error")
		c.over(CloseCredentials, "token")
		other.over(CloseCredentials, "token")
	})
}

// Who is paced is held back, and loses nothing.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Room: lone(t), Pace: func(ctx context.Context) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}}
		c := enter(t, cfg)
		start := time.Now()
		for i := range 5 {
			c.say(`{"op":"send","seq":%d,"channel":"chat","data":0}`, i+1)
			c.expect(`{"op":"ack","seq":%d}`, i+1)
			c.say(`{"op":"ack","seq":1}`)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestRoomHasItsOwnNumberOfSeats(t *testing.T) {
	node := process(t, memnet.New().Endpoint("server"), engine.Limits{})
	room := open(t, node, engine.RoomConfig{Seats: 1})
	enter(t, Config{Room: room})
	c := dial(t, Config{Room: room})
	c.say(`{"op":"hello"}`)
	c.refused(CodeRoomFull, 0)
	c.over(CloseTryAgain, "room full")
	room.SetSeats(2)
	enter(t, Config{Room: room})
}
