package relay

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/nbd-wtf/go-nostr"
)

// An event whose forged copy came first is carried all the same.
func TestForgedCopyFirst(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		b.send(req("s", demoRoot))
		b.expect(`["EOSE"`)
		real := announcement(t, "P")
		forged := *real
		forged.Sig = forge(real.Sig)
		b.send(&forged, &forged)
		b.expect(okText(real, false, "invalid: bad signature"), okText(real, false, "invalid: bad signature"))
		a.send(real)
		a.expect(okText(real, true, `"]`))
		b.expect(eventText("s", real))
		b.send(&forged)
		b.expect(okText(real, true, "duplicate: "))
		if s := r.Stats().Events; s.Forged != 2 || s.Accepted != 1 || s.Duplicate != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// occupy takes all places at which signatures are checked.
func occupy(r *Relay) (release func()) {
	for range cap(r.verifier.slots) {
		r.verifier.slots <- struct{}{}
	}
	return func() {
		for range cap(r.verifier.slots) {
			<-r.verifier.slots
		}
	}
}

// The same bytes from several connections at once are verified once, and are
// delivered once. A forged copy at the same moment does not change that.
func TestSameEventAtOnce(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		release := occupy(r)
		reader := connect(t, r, "192.0.2.1")
		reader.send(req("s", demoRoot))
		reader.expect(`["EOSE"`)
		ev := announcement(t, "P")
		forged := *ev
		forged.Sig = forge(ev.Sig)
		evil := connect(t, r, "192.0.2.2")
		evil.send(&forged)
		synctest.Wait()
		var senders []*client
		for i := range 10 {
			c := connect(t, r, fmt.Sprint("198.51.100.", i))
			c.send(ev)
			senders = append(senders, c)
		}
		synctest.Wait()
		release()
		evil.expect(okText(ev, false, "invalid: bad signature"))
		reader.expect(eventText("s", ev))
		for _, c := range senders {
			c.expect(okText(ev, true, ""))
		}
		if s := r.Stats(); s.Verified != 2 || s.Events.Accepted != 1 || s.Events.Duplicate != 9 || s.Events.Forged != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A flood of one connection holds one place in the line at a time.
func TestVerificationIsFair(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		release := occupy(r)
		flood, honest := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		for i := range 50 {
			flood.send(signed(t, demoRoot, fmt.Sprintf(`{"peerId":"flood","n":%d}`, i)))
		}
		synctest.Wait()
		honest.send(announcement(t, "honest"))
		synctest.Wait()
		if n := len(r.verifier.flights); n != 2 {
			t.Errorf("%d verifications under way, want one of each connection", n)
		}
		release()
		honest.expect(`["OK"`)
		if n := len(flood.got()); n != 50 {
			t.Errorf("%d answers to the flood", n)
		}
	})
}

func TestRememberedIDsAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{Remembered: 2}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		var events []*nostr.Event
		for i := range 3 {
			events = append(events, announcement(t, fmt.Sprint(i)))
			c.send(events[i])
		}
		c.expect(`["OK"`, `["OK"`, `["OK"`)
		c.send(events[2], events[0])
		c.expect(okText(events[2], true, "duplicate: "), okText(events[0], true, `"]`))
		if n := r.verifier.known.Len(); n != 2 {
			t.Errorf("%d ids remembered", n)
		}
	})
}
