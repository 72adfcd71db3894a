package relay

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

type inbox struct {
	mu     sync.Mutex
	events []*nostr.Event
}

func (i *inbox) deliver(ev *nostr.Event) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = append(i.events, ev)
}

func (i *inbox) expect(t *testing.T, want ...*nostr.Event) {
	t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.events) != len(want) {
		t.Fatalf("got %d events, want %d", len(i.events), len(want))
	}
	for n := range want {
		if i.events[n].ID != want[n].ID || i.events[n].Content != want[n].Content {
			t.Errorf("event %d: %s, want %s", n, i.events[n], want[n])
		}
	}
	i.events = nil
}

func forTopic(topic string) nostr.Filters {
	future := nostr.Now() + 1000
	return nostr.Filters{{Kinds: []int{signaling.Kind(topic)}, Tags: nostr.TagMap{"x": {topic}}, Since: &future}}
}

func TestLocal(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		var in, other inbox
		cancel := r.Subscribe(forTopic(demoRoot), in.deliver)
		defer r.Subscribe(forTopic(signaling.RootTopic(engine.SyncRoom("demo"))), other.deliver)()
		c := connect(t, r, "192.0.2.1")

		if n := r.Audience(demoRoot); n != 0 {
			t.Errorf("audience of %d", n)
		}
		c.send(`["REQ","a",{"kinds":[`+fmt.Sprint(signaling.Kind(demoRoot))+`],"#x":["`+demoRoot+`"]}]`, `["REQ","b",{"kinds":[1]}]`)
		c.expect(`["EOSE"`, `["EOSE"`)
		if n := r.Audience(demoRoot); n != 1 {
			t.Errorf("audience of %d", n)
		}

		// From a browser to us.
		theirs := announcement(t, "browser")
		c.send(theirs)
		c.expect(`["OK"`, `["EVENT","a"`)
		in.expect(t, theirs)

		// From us to a browser. It is not verified, and is a duplicate when it
		// comes back.
		ours := announcement(t, "hosted")
		r.Publish(ours)
		c.expect(eventText("a", ours))
		in.expect(t, ours)
		c.send(ours)
		c.expect(okText(ours, true, "duplicate: "))

		// The browser can send to the hosted peer from now on.
		self := signaling.SelfTopic(engine.AppRoom("demo"), "hosted")
		var hosted inbox
		defer r.Subscribe(forTopic(self), hosted.deliver)()
		off := offer(t, "browser", "hosted")
		c.send(off)
		c.expect(okText(off, true, `"]`))
		hosted.expect(t, off)

		// Until that leaves.
		r.Publish(signed(t, demoRoot, `{"peerId":"hosted","bye":1}`))
		c.expect(`["EVENT","a"`)
		late := signed(t, self, `{"peerId":"browser","offer":2}`)
		c.send(late)
		c.expect(okText(late, false, "blocked: "))

		other.expect(t)
		in.got()
		cancel()
		cancel()
		r.Publish(announcement(t, "after"))
		in.expect(t)
		if s := r.Stats(); s.Events.Local != 3 || s.Subscriptions != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func (i *inbox) got() {
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = nil
}

// A deliver that blocks delays nobody else, loses announces first, and cancel
// waits for it.
func TestLocalOverflow(t *testing.T) {
	bubble(t, Config{Limits: Limits{PendingMessages: 10}}, func(t *testing.T, r *Relay) {
		gate := make(chan struct{})
		var seen []*nostr.Event
		cancel := r.Subscribe(nostr.Filters{{}}, func(ev *nostr.Event) {
			<-gate
			seen = append(seen, ev)
		})
		c := connect(t, r, "192.0.2.1")
		c.send(req("s", demoRoot))
		c.expect(`["EOSE"`)
		for i := range 20 {
			r.Publish(announcement(t, fmt.Sprint("P", i)))
			synctest.Wait()
		}
		off := offer(t, "P1", "P2")
		r.Publish(off)
		if n := len(c.got()); n != 20 {
			t.Errorf("others got %d", n)
		}
		if n := r.Stats().DroppedAnnounces; n != 19 {
			t.Errorf("%d announces dropped", n)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		synctest.Wait()
		if len(seen) != 2 || seen[1].ID != off.ID {
			t.Errorf("delivered: %v", seen)
		}

		// One event is with deliver when cancel comes, and another would be next.
		r.Publish(announcement(t, "first"))
		synctest.Wait()
		r.Publish(announcement(t, "second"))
		r.Publish(announcement(t, "third"))
		gate <- struct{}{}
		synctest.Wait()
		cancelled := make(chan struct{})
		go func() {
			defer close(cancelled)
			cancel()
		}()
		synctest.Wait()
		select {
		case <-cancelled:
			t.Error("cancel did not wait for deliver")
		default:
		}
		close(gate)
		<-cancelled
		if len(seen) != 4 {
			t.Errorf("%d delivered, want all but the third", len(seen))
		}
	})
}

func TestCloseEndsLocalSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Open: true})
		var in inbox
		cancel := r.Subscribe(nostr.Filters{{}}, in.deliver)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Publish(announcement(t, "P"))
		in.expect(t)
		cancel()
		r.Subscribe(nostr.Filters{{}}, in.deliver)()
	})
}
