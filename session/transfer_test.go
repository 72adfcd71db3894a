package session

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

func TestTransfer(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec Codec) {
		room := lone(t)
		a, b := enter(t, Config{Room: room, Codec: codec}), enter(t, Config{Room: room})
		a.peer("join", b.id)
		a.say(`{"op":"begin","transfer":7,"channel":"file","size":5,"kind":"text","to":%q,"meta":{"name":"a"}}`, b.id)
		b.expect(`{"op":"begin","transfer":7,"from":%q,"channel":"file","size":5,"kind":"text","offset":0,"meta":{"name":"a"}}`, a.id)
		b.say(`{"op":"begin","transfer":7,"from":%q,"offset":0}`, a.id)
		a.expect(`{"op":"begin","transfer":7,"offset":0}`)
		a.say(`{"op":"chunk","transfer":7,"offset":0,"data":{"$bin":"AAEC"}}`)
		b.expect(`{"op":"chunk","transfer":7,"from":%q,"offset":0,"data":{"$bin":"AAEC"}}`, a.id)
		b.say(`{"op":"ack","transfer":7,"from":%q,"offset":3}`, a.id)
		a.expect(`{"op":"ack","transfer":7,"offset":3}`)
		a.say(`{"op":"chunk","transfer":7,"offset":3,"data":{"$bin":"AAE="}}`)
		b.expect(`{"op":"chunk","transfer":7,"from":%q,"offset":3,"data":{"$bin":"AAE="}}`, a.id)
		sum := strings.Repeat("0f", 32)
		a.say(`{"op":"end","transfer":7,"hash":%q}`, sum)
		b.expect(`{"op":"end","transfer":7,"from":%q,"hash":%q}`, a.id, sum)
		b.say(`{"op":"end","transfer":7,"from":%q}`, a.id)
		a.expect(`{"op":"progress","transfer":7,"peer":%q,"fraction":1}`, b.id)
		a.expect(`{"op":"end","transfer":7}`)

		a.say(`{"op":"begin","transfer":8,"channel":"file","size":0,"kind":"json","to":[%q,"nobody"]}`, b.id)
		a.expect(`{"op":"result","transfer":8,"peer":"nobody","error":"unknown_peer","message":%q}`, engine.ErrUnknownPeer.Error())
		b.expect(`{"op":"begin","transfer":8,"from":%q,"channel":"file","size":0,"kind":"json","offset":0}`, a.id)
		b.say(`{"op":"cancel","transfer":8,"from":%q,"reason":"no disk"}`, a.id)
		a.expect(`{"op":"result","transfer":8,"peer":%q,"error":"refused","message":"no disk"}`, b.id)
		a.expect(`{"op":"cancel","transfer":8,"reason":"nobody"}`)
		a.say(`{"op":"begin","transfer":9,"channel":"file","size":0,"kind":"bytes"}`)
		b.hear("begin")
		a.say(`{"op":"cancel","transfer":9}`)
		b.expect(`{"op":"cancel","transfer":9,"from":%q}`, a.id)
	})
}

// What is at fault is told with the transfer that it is about, and nothing else
// happens.
func TestTransferFaults(t *testing.T) {
	room := lone(t)
	counters := new(Counters)
	a := enter(t, Config{Room: room, Counters: counters})
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		say      string
		code     Code
		transfer float64
	}{
		{`{"op":"begin","channel":"file","size":5,"kind":"text"}`, CodeBadTransfer, 0},
		{`{"op":"begin","transfer":0,"channel":"file","size":5,"kind":"text"}`, CodeBadTransfer, 0},
		{`{"op":"begin","transfer":"1"}`, CodeBadTransfer, 0},
		{`{"op":"begin","transfer":1,"channel":"file","size":5}`, CodeBadTransfer, 1},
		{`{"op":"begin","transfer":1,"channel":"file","kind":"text"}`, CodeBadTransfer, 1},
		{`{"op":"begin","transfer":1,"channel":"file","size":-1,"kind":"text"}`, CodeBadTransfer, 1},
		{`{"op":"begin","transfer":1,"channel":"file","size":1,"kind":"map"}`, CodeBadTransfer, 1},
		{`{"op":"begin","transfer":1,"channel":"file","size":1,"kind":"text","offset":2}`, CodeBadOffset, 1},
		{`{"op":"begin","transfer":1,"size":1,"kind":"text"}`, CodeChannelName, 1},
		{`{"op":"begin","transfer":1,"channel":"file","size":1,"kind":"text","to":"` + long + `"}`, CodeBadMessage, 1},
		{`{"op":"begin","transfer":1,"channel":"file","size":1,"kind":"text","meta":"` + strings.Repeat(long, 300) + `"}`, CodeTooLarge, 1},
		{`{"op":"begin","transfer":1,"from":"p"}`, CodeBadOffset, 1},
		{`{"op":"begin","transfer":1,"from":"p","offset":0}`, CodeNoTransfer, 1},
		{`{"op":"begin","transfer":1,"from":"` + long + `","offset":0}`, CodeBadMessage, 1},
		{`{"op":"chunk","transfer":1,"offset":0}`, CodeBadData, 1},
		{`{"op":"chunk","transfer":1,"offset":0,"data":"text"}`, CodeBadData, 1},
		{`{"op":"chunk","transfer":1,"data":{"$bin":""}}`, CodeBadOffset, 1},
		{`{"op":"chunk","transfer":1,"offset":0,"data":{"$bin":""}}`, CodeNoTransfer, 1},
		{`{"op":"ack","transfer":1}`, CodeBadOffset, 1},
		{`{"op":"ack","transfer":1,"from":"p","offset":0}`, CodeNoTransfer, 1},
		{`{"op":"end","transfer":1,"hash":5}`, CodeBadTransfer, 1},
		{`{"op":"end","transfer":1}`, CodeNoTransfer, 1},
		{`{"op":"cancel","transfer":1,"reason":"` + long + `"}`, CodeBadMessage, 1},
		{`{"op":"cancel","transfer":1}`, CodeNoTransfer, 1},
		{`{"op":"ack"}`, CodeBadSeq, 0},
	} {
		a.sayRaw([]byte(c.say))
		m := a.hear("error")
		if got, _ := m["transfer"].(float64); m["code"] != string(c.code) || got != c.transfer || m["message"] == "" {
			t.Errorf("%.100s: got %s, want %s about %g", c.say, toJSON(t, m), c.code, c.transfer)
		}
	}
	a.say(`{"op":"ping","id":1}`)
	a.hear("pong")
	if got := counters.Errors()[CodeBadTransfer]; got != 8 {
		t.Errorf("%d faults of transfers were counted", got)
	}
}

// A transfer of a few windows arrives as it was sent, wherever in it either
// connection is lost, and whenever.
func TestTransferOverCuts(t *testing.T) {
	data := testPayload(300_000)
	rapid.Check(t, func(rt *rapid.T) {
		codecs := rapid.SliceOfN(rapid.SampledFrom(Codecs[:]), 2, 2).Draw(rt, "codecs")
		chunk := rapid.SampledFrom([]int{16 << 10, 3_000, 7_777}).Draw(rt, "chunk")
		// After how many messages of either direction each connection is lost.
		cuts := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(3, 80), 0, 4), 2, 2).Draw(rt, "cuts")
		var failed string
		synctest.Test(t, func(t *testing.T) {
			n := process(t, memnet.New().Endpoint("server"), engine.Limits{Window: 64 << 10})
			cfg := Config{Room: open(t, n, engine.RoomConfig{})}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // virtual
			defer cancel()
			from, to := &mover{codec: codecs[0], send: newSending(data)}, &mover{codec: codecs[1]}
			from.send.chunk = chunk
			ready := make(chan string, 1)
			done := make(chan struct{})
			live := func(v *mover, cuts []int, over func(*mover) bool) {
				for i := 0; ; i++ {
					p := newPipe()
					n := 0
					end := false
					v.run(ctx, cfg, p, func(v *mover) bool {
						select {
						case ready <- v.id:
						default:
						}
						n++
						end = over(v)
						return end || i < len(cuts) && n >= cuts[i]
					})
					if end || v.fault != nil || ctx.Err() != nil {
						return
					}
				}
			}
			go func() {
				defer close(done)
				live(to, cuts[1], func(*mover) bool { return false })
			}()
			from.send.to = []string{<-ready}
			live(from, cuts[0], func(v *mover) bool { return v.send.over })
			cancel()
			<-done
			most := len(data) + (len(cuts[0])+len(cuts[1]))*int(from.send.window)
			switch {
			case from.fault != nil || to.fault != nil || from.send.fault != nil:
				failed = fmt.Sprint(from.fault, to.fault, from.send.fault)
			case from.send.reason != "" || !to.take.done || !bytes.Equal(to.take.stored, data):
				failed = fmt.Sprintf("over: %v %q, %d sent, %d acknowledged, %d bytes arrived, results %v",
					from.send.over, from.send.reason, from.send.next, from.send.acked, len(to.take.stored), from.send.results)
			case from.send.fractions[to.id] != 1:
				failed = fmt.Sprintf("progress ended at %g", from.send.fractions[to.id])
			case int(from.send.said) > most:
				failed = fmt.Sprintf("%d bytes were sent, at most %d", from.send.said, most)
			}
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}
