package session

import (
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// A message against a rule is refused with the rule and the place, acknowledged,
// and costs nothing else, however many there are.
func TestRules(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{Rules: []engine.Rule{
			{Channel: "chat", MaxSize: 30, Schema: []byte(`{"properties":{"text":{"type":"string"}}}`)},
			{Channel: "slow", Rate: engine.Rate{Messages: 1, Per: time.Hour}},
		}})
		counters := new(Counters)
		a, b := enter(t, Config{Room: room, Codec: codec, Counters: counters}), enter(t, Config{Room: room})

		a.say(`{"op":"send","seq":1,"channel":"chat","data":{"text":7}}`)
		a.expect(`{"op":"error","code":"rule","seq":1,"message":"channel chat: schema: /text: got number, want string"}`)
		a.expect(`{"op":"ack","seq":1}`)
		a.say(`{"op":"send","seq":2,"channel":"chat","data":{"text":"0123456789"},"meta":"01234567"}`)
		a.expect(`{"op":"error","code":"rule","seq":2,"message":"channel chat: max_size: data and meta have 31 bytes, at most 30"}`)
		a.expect(`{"op":"ack","seq":2}`)
		a.say(`{"op":"begin","transfer":1,"channel":"chat","size":1,"kind":"bytes"}`)
		a.expect(`{"op":"error","code":"rule","transfer":1,"message":"channel chat: schema: this channel takes no transfers, since the server cannot judge them"}`)
		a.say(`{"op":"send","seq":3,"channel":"slow","data":0}`)
		a.expect(`{"op":"ack","seq":3}`)
		for seq := 4; seq < 4+2*maxFaults; seq++ {
			a.say(`{"op":"send","seq":%d,"channel":"slow","data":0}`, seq)
			a.expect(`{"op":"error","code":"rule","seq":%d,"message":"channel slow: rate: more than 1 in 1h0m0s"}`, seq)
			a.expect(`{"op":"ack","seq":%d}`, seq)
		}
		a.say(`{"op":"send","seq":1000,"channel":"chat","data":{"text":"hi"}}`)
		a.expect(`{"op":"ack","seq":1000}`)
		if m := b.hear("message"); m["channel"] != "slow" {
			t.Errorf("heard %v", m)
		}
		if m := b.hear("message"); m["channel"] != "chat" {
			t.Errorf("heard %v", m)
		}
		if got := counters.Errors()[CodeRule]; got != 3+2*maxFaults {
			t.Errorf("%d errors were counted", got)
		}
	})
}

// Who leaves and comes again under the same name has sent what he sent.
func TestRateOfUser(t *testing.T) {
	room := open(t, process(t, memnet.New().Endpoint("server"), engine.Limits{}), engine.RoomConfig{Rules: []engine.Rule{
		{Channel: "slow", Rate: engine.Rate{Messages: 1, Per: time.Hour}},
	}})
	cfg := Config{Room: room, Admit: func(token, _ string) (Grant, *Error) { return Grant{User: token}, nil }}
	first := dial(t, cfg)
	first.say(`{"op":"hello","token":"ada"}`)
	first.hear("welcome")
	first.say(`{"op":"send","seq":1,"channel":"slow","data":0}`)
	first.expect(`{"op":"ack","seq":1}`)
	first.say(`{"op":"leave"}`)
	first.over(CloseNormal, "left")
	for user, allowed := range map[string]bool{"ada": false, "bob": true} {
		c := dial(t, cfg)
		c.say(`{"op":"hello","token":%q}`, user)
		c.hear("welcome")
		c.say(`{"op":"send","seq":1,"channel":"slow","data":0}`)
		op := "error"
		if allowed {
			op = "ack"
		}
		c.hear(op)
	}
}
