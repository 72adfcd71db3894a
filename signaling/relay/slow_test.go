package relay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A client that does not read delays nobody; it loses announces first, keeps
// its offers, and finds all the rest in order when it reads again.
func TestSlowClientLosesAnnouncesFirst(t *testing.T) {
	bubble(t, Config{Limits: Limits{PendingMessages: 10}}, func(t *testing.T, r *Relay) {
		slow, quick, sender := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2"), connect(t, r, "192.0.2.3")
		all := `["REQ","s",{}]`
		slow.send(announcement(t, "slow"), all)
		slow.expect(`["OK"`, `["EOSE"`)
		quick.send(all)
		quick.expect(`["EOSE"`)
		unblock := slow.block()
		for i := range 20 {
			sender.send(announcement(t, fmt.Sprint("P", i)))
			synctest.Wait()
		}
		if n := len(quick.got()); n != 20 {
			t.Fatalf("the quick client got %d of 20", n)
		}
		// One is being written, nine wait.
		if n := r.Stats().DroppedAnnounces; n != 10 {
			t.Errorf("%d announces dropped, want 10", n)
		}
		first := offer(t, "P1", "slow")
		sender.send(first)
		synctest.Wait()
		if n := r.Stats().DroppedAnnounces; n != 19 {
			t.Errorf("%d announces dropped, want those that waited too", n)
		}
		for i := range 10 {
			sender.send(offer(t, fmt.Sprint("Q", i), "slow"))
		}
		synctest.Wait()
		if s := r.Stats(); s.DroppedEvents != 2 || s.Closed.Slow != 0 {
			t.Errorf("%+v", s)
		}
		unblock()
		got := slow.got()
		if len(got) != 10 || !strings.Contains(got[0], `P0`) || !strings.HasPrefix(got[1], eventText("s", first)) {
			t.Errorf("got %d: %q", len(got), got)
		}
	})
}

func TestPendingBytesAreBounded(t *testing.T) {
	bubble(t, Config{Limits: Limits{Pending: 10_000}}, func(t *testing.T, r *Relay) {
		slow, sender := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.3")
		slow.send(`["REQ","s",{}]`)
		slow.expect(`["EOSE"`)
		unblock := slow.block()
		padding := strings.Repeat("x", 1000)
		for i := range 20 {
			sender.send(signed(t, demoRoot, fmt.Sprintf(`{"peerId":"P","n":%d,"p":%q}`, i, padding)))
			synctest.Wait()
		}
		synctest.Wait()
		unblock()
		if n := len(slow.got()); n != 6 {
			t.Errorf("%d events of 1.5 kB fit in 10 kB", n)
		}
		if n := r.Stats().DroppedAnnounces; n != 14 {
			t.Errorf("%d dropped", n)
		}
	})
}

// A client that does not read its answers is not read from.
func TestAnswersAreNotDropped(t *testing.T) {
	bubble(t, Config{Limits: Limits{PendingMessages: 10}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		unblock := c.block()
		for i := range 100 {
			c.send(req(fmt.Sprint("s", i), "x"))
			synctest.Wait()
		}
		synctest.Wait()
		if n := len(c.in); n != 89 {
			t.Errorf("%d messages not read, want 89", n)
		}
		unblock()
		got := c.got()
		if len(got) != 100 {
			t.Fatalf("%d answers", len(got))
		}
		for i, text := range got {
			if text != fmt.Sprintf(`["EOSE","s%d"]`, i) {
				t.Errorf("answer %d: %s", i, text)
			}
		}
	})
}

func TestStalledClientIsCut(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		slow, sender := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.3")
		slow.send(req("s", demoRoot))
		slow.expect(`["EOSE"`)
		// A long silence is no stall.
		time.Sleep(24 * time.Hour)
		slow.block()
		sender.send(announcement(t, "P"))
		time.Sleep(r.limits.Slow - time.Second)
		select {
		case <-slow.done:
			t.Error("cut too early")
		default:
		}
		time.Sleep(2 * time.Second)
		slow.expectClosed(0) // nothing could be said
		sender.send(announcement(t, "Q"))
		sender.expect(`["OK"`, `["OK"`)
		if s := r.Stats(); s.Closed.Slow != 1 || s.Connections != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A client that reads something all the time, but not enough, is told.
func TestClientThatStaysFullIsCut(t *testing.T) {
	bubble(t, Config{Limits: Limits{PendingMessages: 600}}, func(t *testing.T, r *Relay) {
		slow, sender := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.3")
		slow.send(`["REQ","s",{}]`)
		slow.expect(`["EOSE"`)
		slow.delay = time.Second
		ev := announcement(t, "P")
		m := &message{tail: serialized(ev.Serialize()).tail(ev), event: ev}
		started := time.Now()
		for r.Stats().Closed.Slow == 0 {
			for range 1000 {
				r.fanOut(m)
			}
			time.Sleep(time.Second / 4)
			if time.Since(started) > time.Minute {
				t.Fatal("never cut")
			}
		}
		if took := time.Since(started); took < r.limits.Slow {
			t.Errorf("cut after %v", took)
		}
		<-slow.done
		slow.expectClosed(CloseTryLater)
		got := slow.got()
		if last := got[len(got)-1]; !strings.HasPrefix(last, `["NOTICE","error: slow: `) {
			t.Errorf("last message: %s", last)
		}
		sender.send(announcement(t, "Q"))
		sender.expect(`["OK"`)
	})
}

func TestClientThatCatchesUpIsNotCut(t *testing.T) {
	bubble(t, Config{Limits: Limits{PendingMessages: 100}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		c.send(`["REQ","s",{}]`)
		c.expect(`["EOSE"`)
		ev := announcement(t, "P")
		m := &message{tail: serialized(ev.Serialize()).tail(ev), event: ev}
		for range 100 {
			unblock := c.block()
			for range 200 {
				r.fanOut(m)
			}
			time.Sleep(time.Second)
			unblock()
			c.got()
		}
		if s := r.Stats(); s.Closed.Slow != 0 || s.Connections != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		idle, stuck, late := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2"), connect(t, r, "192.0.2.3")
		stuck.send(req("s", demoRoot))
		stuck.expect(`["EOSE"`)
		stuck.block()
		idle.send(announcement(t, "P"))
		idle.expect(`["OK"`)
		admitted, err := r.Accept("192.0.2.4")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		started := time.Now()
		closed := make(chan error)
		go func() { closed <- r.Close(ctx) }()
		synctest.Wait()
		idle.expectClosed(CloseGoingAway)
		late.expectClosed(CloseGoingAway)
		admitted.Cancel()
		if err := <-closed; err != context.DeadlineExceeded || time.Since(started) != 3*time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(started))
		}
		<-stuck.done
		if _, err := r.Accept("192.0.2.1"); err != ErrClosed {
			t.Errorf("Accept: %v", err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// A connection that was admitted before Close and served after it is told.
func TestServeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{})
		conn, err := r.Accept("192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- r.Close(t.Context()) }()
		synctest.Wait()
		c := &client{t: t, in: make(chan any), gone: make(chan struct{})}
		conn.Serve(c)
		if c.code != CloseGoingAway {
			t.Errorf("closed with %d", c.code)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// An event that was on its way when its subscription was closed is not queued
// any more: the next REQ of that id must not see it.
func TestQueueTakesNothingForAClosedSubscription(t *testing.T) {
	q := newQueue(100, 10)
	sub := &subscription{queue: q}
	q.end(sub)
	if o := q.push(delivery{sub, &message{}}); o != (outcome{}) || len(q.items) != 0 {
		t.Errorf("%+v, %d queued", o, len(q.items))
	}
}

// The queue keeps its bounds and its order whatever is done to it.
func TestQueueKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxBytes, maxItems = 400, 8
		q := newQueue(maxBytes, maxItems)
		sub := &subscription{queue: q}
		var wanted []*message // what must come out, in order
		var taken []delivery
		drop := func(n int) {
			kept := wanted[:0]
			for _, m := range wanted {
				if m.announce && n > 0 {
					n--
				} else {
					kept = append(kept, m)
				}
			}
			if wanted = kept; n != 0 {
				t.Fatalf("%d more announces reported dropped than were waiting", n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				m := &message{tail: make([]byte, rapid.IntRange(1, 150).Draw(t, "size")), announce: rapid.Bool().Draw(t, "announce")}
				o := q.push(delivery{sub, m})
				switch {
				case m.announce && o.droppedAnnounces == 1:
				case o.droppedEvents == 1:
					drop(o.droppedAnnounces)
				default:
					drop(o.droppedAnnounces)
					wanted = append(wanted, m)
				}
			},
			"take": func(t *rapid.T) {
				taken = q.take(nil)
				for i, d := range taken {
					if d.msg != wanted[i] {
						t.Fatalf("message %d out of order", i)
					}
				}
				wanted = wanted[len(taken):]
				q.done(taken)
			},
			"": func(t *rapid.T) {
				bytes := 0
				for _, m := range wanted {
					bytes += len(m.tail)
				}
				if len(wanted) > maxItems || bytes > maxBytes || bytes != q.bytes || len(q.items)-q.head != len(wanted) {
					t.Fatalf("%d messages and %d bytes wait; the queue says %d and %d", len(wanted), bytes, len(q.items)-q.head, q.bytes)
				}
			},
		})
	})
}
