package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnectionLimits(t *testing.T) {
	bubble(t, Config{Limits: Limits{Connections: 4, ConnectionsPerAddress: 2}}, func(t *testing.T, r *Relay) {
		accept := func(address string, want error) {
			t.Helper()
			conn, err := r.Accept(address)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", address, err, want)
			}
			if err == nil {
				conn.Cancel()
			}
		}
		a, _ := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.1")
		accept("192.0.2.1", ErrTooManyForThisAddress)
		accept("::ffff:192.0.2.1", ErrTooManyForThisAddress)
		accept("192.0.2.2", nil)
		// The hosts of one IPv6 subnet are one.
		connect(t, r, "2001:db8:0:1::1")
		connect(t, r, "2001:db8:0:1:ffff::2%eth0")
		accept("192.0.2.3", ErrTooManyConnections)
		a.leave()
		accept("2001:db8:0:1::3", ErrTooManyForThisAddress)
		accept("192.0.2.1", nil)
		if s := r.Stats(); s.Refused.ConnectionsAddress != 3 || s.Refused.ConnectionsFull != 1 || s.Connections != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSubscriptionLimits(t *testing.T) {
	limits := Limits{Subscriptions: 2, Filters: 2, Values: 4, ValuesPerAddress: 9}
	bubble(t, Config{Limits: limits}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		c.send(`["REQ","a",{"kinds":[1],"#x":["a","b"],"authors":["c"]}]`) // 5 values
		c.expect(`["EOSE","a"]`)
		c.send(`["REQ","b",{"kinds":[1],"#x":["a","b"],"authors":["c","d"]}]`)
		c.expect(`["CLOSED","b","restricted: 5 values in a filter, at most 4`)
		c.send(`["REQ","b",{},{},{}]`)
		c.expect(`["CLOSED","b","restricted: 3 filters, at most 2`)
		c.send(`["REQ","b",{"kinds":[1,2,3,4]}]`)
		c.expect(`["CLOSED","b","restricted: the subscriptions of this address`)
		c.send(`["REQ","b",{"kinds":[1,2,3]}]`)
		c.expect(`["EOSE","b"]`)
		c.send(`["REQ","c",{}]`)
		c.expect(`["CLOSED","c","restricted: 2 subscriptions are open`)
		// Replacing and closing give back.
		c.send(`["REQ","b",{}]`, `["CLOSE","a"]`, `["REQ","c",{"kinds":[1,2,3,4]}]`)
		c.expect(`["EOSE","b"]`, `["EOSE","c"]`)
		if s := r.Stats(); s.Subscriptions != 2 || s.Refused.Subscriptions != 4 {
			t.Errorf("%+v", s)
		}
		c.leave()
		other := connect(t, r, "192.0.2.1")
		other.send(`["REQ","a",{"kinds":[1,2,3,4]}]`)
		other.expect(`["EOSE","a"]`)
	})
}

// A refused REQ does not leave the subscription open that had its id, as the
// client was told that it is closed.
func TestRefusedREQClosesItsPredecessor(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		for _, bad := range []string{`["REQ","s"]`, `["REQ","s",{"kinds":0}]`} {
			c.send(req("s", demoRoot), bad, announcement(t, "P"+bad[:8]))
			c.expect(`["EOSE","s"]`, `["CLOSED","s"`, `["OK"`)
		}
	})
}

func TestThrottlingIsNoViolation(t *testing.T) {
	bubble(t, Config{Limits: Limits{Rate: 1, Burst: 3, Violations: 1}}, func(t *testing.T, r *Relay) {
		c, all := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		all.send(`["REQ","all",{}]`)
		all.expect(`["EOSE"`)
		c.send(req("s", "other"), announcement(t, "one"), announcement(t, "two"))
		c.expect(`["EOSE"`, `["OK"`, `["OK"`)
		if n := len(all.got()); n != 2 {
			t.Errorf("%d events", n)
		}
		started := time.Now()
		three := announcement(t, "three")
		c.send(three, req("t", "other"), `["COUNT","c",{}]`, `["CLOSE","s"]`)
		time.Sleep(time.Second / 2)
		c.expect(okText(three, false, "rate-limited: "), `["CLOSED","t","rate-limited: `, `["NOTICE","rate-limited: `)
		if s := r.Stats(); s.Events.RateLimited != 1 || s.Refused.RateLimited != 2 || s.Subscriptions != 1 {
			t.Errorf("%+v", s)
		}
		// Nothing was closed, and after a while all is well again.
		time.Sleep(time.Second - time.Since(started))
		c.send(three)
		c.expect(okText(three, true, `"]`))
		all.expect(eventText("all", three))
	})
}

func TestRatePerAddress(t *testing.T) {
	bubble(t, Config{Limits: Limits{RatePerAddress: 1, BurstPerAddress: 2}}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.1")
		elsewhere := connect(t, r, "192.0.2.2")
		a.send(req("s", "x"), req("s", "x"))
		a.expect(`["EOSE"`, `["EOSE"`)
		b.send(req("s", "x"))
		b.expect(`["CLOSED","s","rate-limited: `)
		// Coming back does not help.
		a.leave()
		b.leave()
		c := connect(t, r, "192.0.2.1")
		c.send(req("s", "x"))
		c.expect(`["CLOSED","s","rate-limited: `)
		elsewhere.send(req("s", "x"))
		elsewhere.expect(`["EOSE"`)
	})
}

// A flood is not even read at full speed.
func TestFloodIsReadSlowly(t *testing.T) {
	bubble(t, Config{Limits: Limits{Rate: 10, Burst: 10}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		for range 10_000 {
			c.send(req("s", "x"))
		}
		time.Sleep(10 * time.Second)
		if n := len(c.got()); n < 200 || n > 500 {
			t.Errorf("%d of 10,000 messages answered in 10 s", n)
		}
	})
}

func TestJunkClosesTheConnection(t *testing.T) {
	for name, junk := range map[string]any{"text": "junk", "binary": ErrBinary} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Limits: Limits{Violations: 3}}, func(t *testing.T, r *Relay) {
				c, other := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.1")
				c.send(junk, junk, junk)
				c.expect(`["NOTICE","invalid: `, `["NOTICE","invalid: `, `["NOTICE","invalid: `)
				c.send(junk, req("s", "x"))
				// The last answer may be overtaken by the end.
				got := c.got()
				if n := len(got); n == 0 || !strings.HasPrefix(got[n-1], `["NOTICE","blocked: too many invalid messages`) {
					t.Errorf("got %q", got)
				}
				c.expectClosed(ClosePolicy)
				other.send(req("s", "x"))
				other.expect(`["EOSE"`)
				if s := r.Stats(); s.Closed.Junk != 1 || s.Refused.Binary+s.Refused.Malformed != 4 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What a connection sends after it was told to go is not looked at, even if it
// takes long to leave.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	bubble(t, Config{Limits: Limits{Violations: 1}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		unblock := c.block()
		c.send("junk", "junk", announcement(t, "P"), ErrBinary)
		synctest.Wait()
		unblock()
		c.expectClosed(ClosePolicy)
		if s := r.Stats(); s.Events.Accepted != 0 || s.Refused.Binary != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestJunkIsForgivenInTime(t *testing.T) {
	bubble(t, Config{Limits: Limits{Violations: 2}}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		for range 10 {
			c.send("junk")
			c.expect(`["NOTICE"`)
			time.Sleep(forgive)
		}
	})
}

// An address that goes on sending junk over new connections is closed at once.
func TestJunkPerAddress(t *testing.T) {
	bubble(t, Config{Limits: Limits{Violations: 1}}, func(t *testing.T, r *Relay) {
		for i := range 5 {
			c := connect(t, r, "192.0.2.1")
			c.send("junk", "junk")
			c.expectClosed(ClosePolicy)
			if s := r.Stats(); s.Refused.Malformed != uint64(2*(i+1)) {
				t.Errorf("%+v", s)
			}
		}
		c, other := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		c.send("junk")
		c.expectClosed(ClosePolicy)
		other.send("junk")
		other.expect(`["NOTICE"`)
	})
}

func TestOversizedMessage(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		c.send(ErrTooLarge)
		c.expect(`["NOTICE","invalid: message above 32768 bytes`)
		c.expectClosed(CloseTooLarge)
		if s := r.Stats(); s.Closed.TooLarge != 1 || s.Refused.TooLarge != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Ten thousand subscriptions to one topic from a crowd, and as many that match
// nothing: each event still reaches those that want it, once.
func TestTenThousandSubscriptions(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		var crowd []*client
		for i := range 20 {
			c := connect(t, r, fmt.Sprint("198.51.100.", i))
			for j := range 500 {
				topic := demoRoot
				if j%2 == 1 {
					topic = fmt.Sprint("t", i, "-", j)
				}
				c.send(req(fmt.Sprint("s", j), topic))
			}
			crowd = append(crowd, c)
		}
		for _, c := range crowd {
			if n := len(c.got()); n != 500 {
				t.Fatalf("%d answers", n)
			}
		}
		if n := r.Stats().Subscriptions; n != 10_000 {
			t.Fatalf("%d subscriptions", n)
		}
		honest := connect(t, r, "192.0.2.1")
		honest.send(announcement(t, "P"))
		honest.expect(`["OK"`)
		for _, c := range crowd {
			if n := len(c.got()); n != 250 {
				t.Errorf("%d deliveries, want 250", n)
			}
		}
		if n := r.Stats().Deliveries; n != 5000 {
			t.Errorf("%d deliveries", n)
		}
	})
}
