package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// receive takes messages up to one of that seq and returns their seqs.
func receive(t *testing.T, r *Room, last uint64) []uint64 {
	t.Helper()
	var seqs []uint64
	for {
		m, err := r.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, m.Seq)
		if m.Seq == last {
			return seqs
		}
	}
}

func TestSendAndReceive(t *testing.T) {
	for _, text := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			acked := make(chan uint64, 1)
			s := serve(t, func(_ int, c *served) {
				if c.url != "/genosrtc/rooms/a%2Fb/ws" {
					t.Errorf("url %q", c.url)
				}
				if h := c.welcome(frame{Peers: []Peer{{"other", ""}}}); h.Password != "secret" || h.Resume != "" || h.History != 7 {
					t.Errorf("hello: %+v", h)
				}
				f := c.expect(opSend)
				if f.Seq != 1 || f.Channel != "chat" || !slices.Equal(*f.To, []string{"other"}) || string(f.Data.v.([]byte)) != "\x00\x01" || f.meta().(map[string]any)["name"] != "x" {
					t.Errorf("send: %+v", f)
				}
				c.say(&frame{Op: opAck, Seq: 1})
				c.say(message(5))
				c.say(message(9))
				c.say(&frame{Op: opPing, ID: new(uint64)})
				c.expect(opPong)
				acked <- c.expect(opAck).Seq
				c.next()
			}, nil)
			defer s.close()
			r, err := s.dial(Options{JSON: text, Password: "secret", History: 7})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Peer() != "me" || len(r.Peers()) != 1 {
				t.Errorf("peer %q of %v", r.Peer(), r.Peers())
			}
			seq, err := r.Send(t.Context(), "chat", []byte{0, 1}, To("other"), Meta(map[string]string{"name": "x"}))
			if err != nil || seq != 1 {
				t.Fatal(seq, err)
			}
			if err := r.Wait(t.Context(), seq); err != nil {
				t.Fatal(err)
			}
			if m, err := r.Receive(t.Context()); err != nil || m.Seq != 5 || m.Data != int64(5) || m.From != "other" || m.Channel != "chat" {
				t.Fatal(m, err)
			}
			time.Sleep(5 * time.Second)
			select {
			case seq := <-acked:
				t.Fatalf("%d was acknowledged before it was dealt with", seq)
			default:
			}
			if m, err := r.Receive(t.Context()); err != nil || m.Seq != 9 {
				t.Fatal(m, err)
			}
			began := time.Now()
			if seq := <-acked; seq != 5 || time.Since(began) > time.Second {
				t.Errorf("%d was acknowledged after %v", seq, time.Since(began))
			}
		})
	}
}

func TestAcknowledgesAtLeastEvery64(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			acked := uint64(0)
			for seq := uint64(1); seq <= 1000; seq++ {
				c.say(message(seq))
				if seq-acked == 64 {
					acked = c.expect(opAck).Seq
				}
			}
			c.next()
		}, nil)
		defer s.close()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if seqs := receive(t, r, 1000); len(seqs) != 1000 {
			t.Errorf("%d messages", len(seqs))
		}
	})
}

// TestResumes loses the connection with sends and messages on their way.
func TestResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := make(chan []uint64, 1)
		s := serve(t, func(n int, c *served) {
			switch n {
			case 1:
				c.welcome(frame{})
				for range 5 {
					c.expect(opSend)
				}
				c.say(&frame{Op: opAck, Seq: 1})
				for _, seq := range []uint64{10, 20, 30} {
					c.say(message(seq))
				}
				c.expect(opAck) // of 10
			case 2:
				if h := c.welcome(frame{Resumed: true, Ack: 3, Resume: "other"}); h.Resume != "token" || h.Ack != 10 {
					t.Errorf("hello: %+v", h)
				}
				for _, seq := range []uint64{20, 30, 40} {
					c.say(message(seq))
				}
				seqs := []uint64{c.expect(opSend).Seq, c.expect(opSend).Seq, c.expect(opSend).Seq}
				again <- seqs
				c.say(&frame{Op: opAck, Seq: 6})
				c.next()
			}
		}, nil)
		defer s.close()
		var events []Event
		r, err := s.dial(Options{Notify: func(e Event) { events = append(events, e) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := r.Send(t.Context(), "chat", "x"); err != nil {
				t.Fatal(err)
			}
		}
		first, _ := r.Receive(t.Context())
		second, _ := r.Receive(t.Context())
		synctest.Wait() // the acknowledgement waits, then the connection is cut
		time.Sleep(ackDelay)
		synctest.Wait()
		if r.Online() {
			t.Error("still online")
		}
		seq, err := r.Send(t.Context(), "chat", "offline")
		if err != nil || seq != 6 {
			t.Fatal(seq, err)
		}
		if seqs := <-again; !slices.Equal(seqs, []uint64{4, 5, 6}) {
			t.Errorf("sent again: %v", seqs)
		}
		if err := r.Wait(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
		if seqs := append([]uint64{first.Seq, second.Seq}, receive(t, r, 40)...); !slices.Equal(seqs, []uint64{10, 20, 30, 40}) {
			t.Errorf("received %v", seqs)
		}
		r.Close()
		if len(events) != 3 || events[0] != (Joined{"me"}) || events[2] != (Resumed{}) {
			t.Errorf("events: %v", events)
		}
		if _, err := r.Receive(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if _, err := r.Send(t.Context(), "chat", "x"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestSessionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := make(chan uint64, 1)
		s := serve(t, func(n int, c *served) {
			switch n {
			case 1:
				c.welcome(frame{})
				c.expect(opSend)
				c.say(message(50))
				c.expect(opAck) // else it may be lost with the connection
			case 2:
				c.welcome(frame{Reason: "expired", Peer: "new", Resume: "token 2"})
				again <- c.expect(opSend).Seq
				m := message(3)
				m.History = 1
				c.say(m)
				c.next()
			}
		}, nil)
		defer s.close()
		var events []Event
		r, err := s.dial(Options{History: 5, Notify: func(e Event) { events = append(events, e) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Send(t.Context(), "chat", "x"); err != nil {
			t.Fatal(err)
		}
		u, err := r.SendReader("file", strings.NewReader("abc"), 3, Outgoing{})
		if err != nil {
			t.Fatal(err)
		}
		if seqs := receive(t, r, 50); len(seqs) != 1 {
			t.Error(seqs)
		}
		if seq := <-again; seq != 1 {
			t.Errorf("sent again: %d", seq)
		}
		if m, err := r.Receive(t.Context()); err != nil || m.Seq != 3 || !m.History {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := u.Wait(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("transfer: %v", err)
		}
		if state, err := r.State(); err != nil || state.Resume != "token 2" || state.Received != 0 || state.Next != 2 || len(state.Sends) != 1 {
			t.Errorf("state %+v, %v", state, err)
		}
		r.Close()
		if len(events) != 4 || events[2] != (Lost{"expired", 1, 1}) || events[3] != (Joined{"new"}) {
			t.Errorf("events: %v", events)
		}
	})
}

func TestFinalEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(c *served)
		code int
		text string
	}{
		"elsewhere": {func(c *served) { c.welcome(frame{}); c.ws.Close(4000, "resumed elsewhere") }, 4000, ""},
		"password": {func(c *served) {
			c.expect(opHello)
			c.say(&frame{Op: opError, Code: "password", Text: "wrong"})
			c.ws.Close(1008, "password")
		}, 1008, "password"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, func(n int, c *served) {
					if n > 1 {
						t.Error("it came back")
					}
					test.end(c)
				}, nil)
				defer s.close()
				r, err := s.dial(Options{})
				if err == nil {
					<-r.Done()
					err = r.Err()
				}
				refused, ok := errors.AsType[*RefusedError](err)
				if !ok || refused.Close != test.code || refused.Code != test.text {
					t.Errorf("got %v", err)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestDialTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(_ int, c *served) { c.welcome(frame{}); c.next() }, func(n int, w http.ResponseWriter) bool {
			switch n {
			case 1:
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(503)
			case 2:
				w.WriteHeader(502)
			}
			return n <= 2
		})
		defer s.close()
		began := time.Now()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil, func(_ int, w http.ResponseWriter) bool { w.WriteHeader(404); return true })
		defer s.close()
		_, err := s.dial(Options{})
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Status != 404 {
			t.Errorf("got %v", err)
		}
	})
}

// TestSilentServerIsLeft holds that a connection that says nothing is given up.
func TestSilentServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		s := serve(t, func(n int, c *served) { c.welcome(frame{Resumed: n > 1}); <-over }, nil)
		defer s.close()
		defer close(over)
		resumed := make(chan struct{}, 10)
		r, err := s.dial(Options{Notify: func(e Event) {
			if e == (Resumed{}) {
				resumed <- struct{}{}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		began := time.Now()
		<-resumed
		if took := time.Since(began); took < silence || took > silence+5*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			for range outboxSends {
				c.expect(opSend)
			}
			time.Sleep(40 * time.Second)
			c.say(&frame{Op: opAck, Seq: 1})
			c.next()
			c.next()
		}, nil)
		defer s.close()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range outboxSends {
			if _, err := r.Send(t.Context(), "chat", 1); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := r.Send(ctx, "chat", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if seq, err := r.Send(t.Context(), "chat", 1); err != nil || seq != outboxSends+1 {
			t.Errorf("got %d, %v", seq, err)
		}
	})
}

// TestStateGoesOn has a second process go on with a saved state, which is older
// than what the server has.
func TestStateGoesOn(t *testing.T) {
	for _, text := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t, func(n int, c *served) {
				switch n {
				case 1:
					c.welcome(frame{})
					c.say(message(10))
					c.say(message(11))
					for range 3 {
						c.expect(opSend)
					}
					c.next()
				case 2:
					if h := c.welcome(frame{Resumed: true, Ack: 3}); h.Resume != "token" || h.Ack != 10 {
						t.Errorf("hello %+v", h)
					}
					if f := c.expect(opSend); f.Seq != 4 || f.Data.v != "four" {
						t.Errorf("send: %+v", f)
					}
					c.say(&frame{Op: opAck, Seq: 4})
					c.say(message(11))
					c.next()
				}
			}, nil)
			defer s.close()
			r, err := s.dial(Options{JSON: text})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []any{[]byte{1}, map[string]any{"$bin": 1}} {
				if _, err := r.Send(t.Context(), "chat", v); err != nil {
					t.Fatal(err)
				}
			}
			m, err := r.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			state, err := r.State()
			if err != nil {
				t.Fatal(err)
			}
			state.Received = m.Seq
			saved, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Send(t.Context(), "chat", "not in the state"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			r.Close()

			var loaded State
			if err := json.Unmarshal(saved, &loaded); err != nil || len(loaded.Sends) != 2 {
				t.Fatal(loaded, err)
			}
			r, err = s.dial(Options{JSON: text, State: &loaded})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if r.Acked() != 3 {
				t.Errorf("acked %d", r.Acked())
			}
			if seq, err := r.Send(t.Context(), "chat", "four"); err != nil || seq != 4 {
				t.Error(seq, err)
			}
			if err := r.Wait(t.Context(), 4); err != nil {
				t.Error(err)
			}
			if m, err := r.Receive(t.Context()); err != nil || m.Seq != 11 {
				t.Error(m, err)
			}
		})
	}
}

// TestLeave loses the connection on which it left.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(n int, c *served) {
			c.welcome(frame{Resumed: n > 1, Ack: uint64(n - 1)})
			if n == 1 {
				c.say(&frame{Op: opAck, Seq: c.expect(opSend).Seq})
				c.expect(opLeave)
				return
			}
			c.say(&frame{Op: opPong, ID: c.expect(opPing).ID})
			c.expect(opLeave)
			c.ws.Close(1000, "left")
		}, nil)
		defer s.close()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Send(t.Context(), "chat", "bye"); err != nil {
			t.Fatal(err)
		}
		if err := r.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		if err := r.Err(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}
