package signaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

func TestEventOfTwoRelaysIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		first, second := net.relay(t, "first"), net.relay(t, "second")
		p := newPool(t, Config{Relays: []string{first.url, second.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		room.Host("0us")
		settle()
		ev := newBrowser(t, "room", "them").offer("0us", "", "v=0")
		first.fanOut(ev)
		settle()
		second.fanOut(ev)
		second.fanOut(ev)
		settle()
		if got := in.take(); len(got) != 1 || got[0].Relay != first.url {
			t.Errorf("delivered %+v", got)
		}
		if n := status(t, p, second.url).Counters; n.Received != 2 || n.Duplicates != 2 {
			t.Errorf("counted %+v", n)
		}
	})
}

func TestForgedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		_, in := open(t, p, "room", "")
		settle()
		b := newBrowser(t, "room", "them")
		sign := b.announce()
		forgeries := map[string]func(ev *nostr.Event){
			"other content":        func(ev *nostr.Event) { ev.Content = `{"peerId":"someone"}` },
			"other content, id":    func(ev *nostr.Event) { ev.Content = `{"peerId":"someone"}`; ev.ID = ev.GetID() },
			"other author":         func(ev *nostr.Event) { ev.PubKey = newBrowser(t, "", "").author(); ev.ID = ev.GetID() },
			"other signature":      func(ev *nostr.Event) { ev.Sig = strings.Repeat("ab", 64) },
			"no signature":         func(ev *nostr.Event) { ev.Sig = "" },
			"signature, no hex":    func(ev *nostr.Event) { ev.Sig = strings.Repeat("xy", 64) },
			"no id":                func(ev *nostr.Event) { ev.ID = "" },
			"short id":             func(ev *nostr.Event) { ev.ID = ev.ID[:10] },
			"id in upper case":     func(ev *nostr.Event) { ev.ID = strings.ToUpper(ev.ID) },
			"author, no hex":       func(ev *nostr.Event) { ev.PubKey = strings.Repeat("xy", 32) },
			"author, not on curve": func(ev *nostr.Event) { ev.PubKey = strings.Repeat("f", 64); ev.ID = ev.GetID() },
		}
		for name, forge := range forgeries {
			ev := *sign
			forge(&ev)
			relay.fanOut(&ev)
			settle()
			if got := in.take(); len(got) != 0 {
				t.Errorf("%s: delivered %+v", name, got)
			}
		}
		if n := status(t, p, relay.url).Counters; n.Forged != uint64(len(forgeries)) {
			t.Errorf("counted %+v, want %d forgeries", n, len(forgeries))
		}
		// A forgery does not keep out the event whose id it bears.
		relay.fanOut(sign)
		settle()
		if len(in.take()) != 1 {
			t.Error("the genuine event is not delivered")
		}
	})
}

func TestStaleEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		eose := true
		relay.answer = func(m nostr.Envelope) []string {
			req, ok := m.(*nostr.ReqEnvelope)
			if !ok {
				return nil
			}
			replies := []string{}
			for _, age := range []time.Duration{0, 59 * time.Second, 61 * time.Second, time.Hour} {
				b := newBrowser(t, "room", age.String())
				ev := b.announce()
				ev.CreatedAt -= nostr.Timestamp(age / time.Second)
				replies = append(replies, eventMessage(req.SubscriptionID, b.sign(ev)))
			}
			if eose {
				replies = append(replies, `["EOSE","`+req.SubscriptionID+`"]`)
			}
			return replies
		}
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "")
		settle()
		froms := func() (froms []string) {
			for _, s := range in.take() {
				froms = append(froms, s.From)
			}
			return froms
		}
		if got := froms(); !slices.Equal(got, []string{"0s", "59s"}) {
			t.Errorf("stored events of %v were delivered", got)
		}
		if n := status(t, p, relay.url).Counters; n.Stale != 2 {
			t.Errorf("counted %+v", n)
		}

		// Live ones may be of any age: the sender's clock is wrong.
		slow := func() {
			b := newBrowser(t, "room", "slow clock")
			ev := b.announce()
			ev.CreatedAt -= 7200
			relay.say(eventMessage(relay.reqs()[0].SubscriptionID, b.sign(ev)))
			settle()
		}
		slow()
		if got := froms(); !slices.Equal(got, []string{"slow clock"}) {
			t.Errorf("live event: %v", got)
		}

		// A relay that never sends EOSE is believed after a while.
		eose = false
		room.Host("0us")
		settle()
		froms()
		slow()
		if got := froms(); len(got) != 0 {
			t.Errorf("before EOSE: %v", got)
		}
		time.Sleep(replayTime)
		slow()
		if got := froms(); !slices.Equal(got, []string{"slow clock"}) {
			t.Errorf("a relay without EOSE: %v", got)
		}
	})
}

func TestEventsThatAreNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net network
		relay := net.relay(t, "relay")
		p := newPool(t, Config{Relays: []string{relay.url}, HTTPClient: net.client()})
		room, in := open(t, p, "room", "secret")
		room.Host("0us")
		settle()
		id := relay.reqs()[len(relay.reqs())-1].SubscriptionID
		b := newBrowser(t, "room", "them")
		root, self := RootTopic("room"), SelfTopic("room", "0us")
		ours := newBrowser(t, "room", "0us") // their key, our name
		change := func(ev *nostr.Event, f func(*nostr.Event)) *nostr.Event {
			f(ev)
			return b.sign(ev)
		}
		for name, v := range map[string]struct {
			ev   *nostr.Event
			want Counters
		}{
			"odd content":      {b.event(root, `{"hello":1}`), Counters{Odd: 1}},
			"string":           {b.event(root, `"str"`), Counters{Odd: 1}},
			"offer to all":     {b.event(root, b.description("offer", "secret", "v=0")), Counters{Odd: 1}},
			"announce to one":  {b.event(self, `{"peerId":"them"}`), Counters{Odd: 1}},
			"other topic":      {b.event(RootTopic("other"), `{"peerId":"them"}`), Counters{Odd: 1}},
			"other peer":       {b.offer("0other", "secret", "v=0"), Counters{Odd: 1}},
			"no tag":           {change(b.announce(), func(ev *nostr.Event) { ev.Tags = nil }), Counters{Odd: 1}},
			"empty tags":       {change(b.announce(), func(ev *nostr.Event) { ev.Tags = nostr.Tags{{}, {"x"}} }), Counters{Odd: 1}},
			"other kind":       {change(b.announce(), func(ev *nostr.Event) { ev.Kind++ }), Counters{Odd: 1}},
			"wrong password":   {b.offer("0us", "secre", "v=0"), Counters{Sealed: 1}},
			"no password":      {b.offer("0us", "", "v=0"), Counters{Sealed: 1}},
			"no envelope":      {b.event(self, `{"peerId":"them","offer":{"type":"offer","sdp":"v=0"}}`), Counters{Odd: 1}},
			"hosted announces": {ours.announce(), Counters{Claimed: 1}},
			"hosted offers":    {ours.offer("0us", "secret", "v=0"), Counters{Claimed: 1}},
		} {
			before := status(t, p, relay.url).Counters
			relay.say(eventMessage(id, v.ev))
			settle()
			if got := in.take(); len(got) != 0 {
				t.Errorf("%s: delivered %+v", name, got)
			}
			after := status(t, p, relay.url).Counters
			got := Counters{Odd: after.Odd - before.Odd, Sealed: after.Sealed - before.Sealed, Claimed: after.Claimed - before.Claimed}
			if got != v.want || after.Received != before.Received+1 {
				t.Errorf("%s: counted %+v, then %+v", name, before, after)
			}
		}
		if p.Sealed("room", "them").IsZero() || !p.Sealed("room", "other").IsZero() || !p.Sealed("nowhere", "them").IsZero() {
			t.Error("who has another password is not known")
		}
		for i := range sealedLimit {
			relay.say(eventMessage(id, newBrowser(t, "room", fmt.Sprint("peer ", i)).offer("0us", "other", "v=0")))
		}
		settle()
		if !p.Sealed("room", "them").IsZero() || p.Sealed("room", "peer 1").IsZero() {
			t.Error("those with another password are not bounded")
		}
		in.take()
		// With more tags than one, and of a peer that was hosted.
		room.Unhost("0us")
		relay.fanOut(ours.sign(&nostr.Event{
			Kind:      Kind(root),
			CreatedAt: nostr.Now(),
			Tags:      nostr.Tags{{"client", "y"}, {"x", root}},
			Content:   `{"peerId":"0us","type":"superpeer"}`,
		}))
		settle()
		want := []engine.Signal{{Kind: engine.Announce, Relay: relay.url, From: "0us", Type: "superpeer", Author: ours.author()}}
		if got := in.take(); !slices.Equal(got, want) {
			t.Errorf("delivered %+v", got)
		}
	})
}

func TestMemoryOfEventsIsBounded(t *testing.T) {
	p := newPool(t, Config{})
	for i := range seenLimit + 10 {
		p.seen.Add(string(rune(i)), struct{}{})
	}
	if n := p.seen.Len(); n != seenLimit {
		t.Errorf("%d ids are remembered", n)
	}
}
