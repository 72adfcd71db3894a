package relay

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/nbd-wtf/go-nostr"
)

func TestConversation(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, r *Relay) {
		a, b := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		ann := announcement(t, "A")

		a.send(req("a", demoRoot))
		a.expect(`["EOSE","a"]`)
		b.send(req("b", "other", demoRoot))
		b.expect(`["EOSE","b"]`)

		// OK comes first, and the sender's own subscriptions get the event too.
		a.send(ann)
		a.expect(okText(ann, true, `"]`), eventText("a", ann))
		b.expect(eventText("b", ann))

		// A duplicate is accepted, and goes nowhere.
		b.send(ann)
		b.expect(okText(ann, true, "duplicate: "))
		a.expect()

		// A REQ with the same id replaces the first.
		b.send(req("b", "elsewhere"))
		b.expect(`["EOSE","b"]`)
		a.send(announcement(t, "A2"))
		a.expect(`["OK"`, `["EVENT"`)
		b.expect()

		// CLOSE has no answer, also for what is not open.
		a.send(`["CLOSE","a"]`, `["CLOSE","never"]`, announcement(t, "A3"))
		a.expect(`["OK"`)

		s := r.Stats()
		if s.Events.Accepted != 3 || s.Events.Duplicate != 1 || s.Subscriptions != 1 || s.Connections != 2 || s.Deliveries != 3 {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestRequests(t *testing.T) {
	long := strings.Repeat("x", 65)
	id := strings.Repeat("a", 64)
	for _, tt := range []struct {
		name, send string
		want       []string
		count      func(Stats) uint64
	}{
		{"several filters", `["REQ","s",{"kinds":[20001]},{"authors":["` + id + `"],"limit":5},{"#x":["a","b"],"until":9}]`, []string{`["EOSE","s"]`}, nil},
		{"white space", " [ \"REQ\" , \"s\" , { } ] \n", []string{`["EOSE","s"]`}, nil},
		{"id of 64 characters", `["REQ","` + strings.Repeat("ü", 64) + `",{}]`, []string{`["EOSE","` + strings.Repeat("ü", 64) + `"]`}, nil},
		{"id that needs escapes", `["REQ","a\"\n\u0001",{}]`, []string{`["EOSE","a\"\n\u0001"]`}, nil},
		{"unknown filter fields", `["REQ","s",{"&t":["a"],"x":{"y":[1]}}]`, []string{`["EOSE","s"]`}, nil},
		{"COUNT", `["COUNT","c",{"kinds":[1]}]`, []string{`["CLOSED","c","error: COUNT`}, func(s Stats) uint64 { return s.Refused.Unsupported }},
		{"AUTH", `["AUTH",{"id":"` + id + `"}]`, []string{`["OK","` + id + `",false,"error: AUTH`}, func(s Stats) uint64 { return s.Refused.Unsupported }},
		{"unknown message", `["NEG-OPEN","n",{},"00"]`, []string{`["NOTICE","error: \"NEG-OPEN\" messages are not supported`}, func(s Stats) uint64 { return s.Refused.Unsupported }},
		{"empty id", `["REQ","",{}]`, []string{`["NOTICE","invalid: the subscription id`}, func(s Stats) uint64 { return s.Refused.Subscriptions }},
		{"long id", `["REQ","` + long + `",{}]`, []string{`["NOTICE","invalid: the subscription id`}, func(s Stats) uint64 { return s.Refused.Subscriptions }},
		{"no filter", `["REQ","s"]`, []string{`["CLOSED","s","invalid: REQ without a filter`}, func(s Stats) uint64 { return s.Refused.Subscriptions }},
		{"search", `["REQ","s",{"search":"x"}]`, []string{`["CLOSED","s","error: search`}, func(s Stats) uint64 { return s.Refused.Subscriptions }},
		{"malformed filter", `["REQ","s",{"kinds":"all"}]`, []string{`["CLOSED","s","invalid: the filters`}, malformed},
		{"filter that is no object", `["REQ","s",7]`, []string{`["CLOSED","s","invalid: the filters`}, malformed},
		{"number as id", `["REQ",7,{}]`, []string{`["NOTICE","invalid: not a message of NIP-01: `}, malformed},
		{"not JSON", `hello`, []string{`["NOTICE","invalid: not a message of NIP-01: `}, malformed},
		{"empty", ``, []string{`["NOTICE","invalid: `}, malformed},
		{"empty array", `[]`, []string{`["NOTICE","invalid: `}, malformed},
		{"object", `{"a":1}`, []string{`["NOTICE","invalid: `}, malformed},
		{"truncated", `["REQ","s",{}`, []string{`["CLOSED","s","invalid: `}, malformed},
		{"more after it", `["CLOSE","s"] x`, []string{`["NOTICE","invalid: `}, malformed},
		{"two events", `["EVENT",{},{}]`, []string{`["NOTICE","invalid: `}, malformed},
		{"event that is null", `["EVENT",null]`, []string{`["NOTICE","invalid: id, pubkey and sig`}, func(s Stats) uint64 { return s.Events.Invalid }},
		{"event that is a number", `["EVENT",1]`, []string{`["NOTICE","invalid: `}, malformed},
		{"not UTF-8", "[\"CLOSE\",\"\xff\"]", []string{`["NOTICE","invalid: not a message of NIP-01: not valid UTF-8`}, malformed},
		{"deep nesting", `["X",` + strings.Repeat("[", 10_000), []string{`["NOTICE","invalid: `}, malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, r *Relay) {
				c := connect(t, r, "192.0.2.1")
				c.send(tt.send)
				c.expect(tt.want...)
				if tt.count != nil && tt.count(r.Stats()) != 1 {
					t.Errorf("not counted: %+v", r.Stats())
				}
			})
		})
	}
}

// The transport uses its buffer again.
func TestRequestSharesNoMemory(t *testing.T) {
	for _, text := range []string{
		`["REQ","s",{"#x":["a"],"ids":["i"],"authors":["a"],"#e":["b"]}]`,
		`["EVENT",{"id":"i","pubkey":"p","sig":"s","content":"c","tags":[["x","a"]],"more":{"a":[1]}}]`,
		`["CLOSE","s"]`, `["COUNT","s",{}]`, `["OTHER"]`,
	} {
		want, err := parseRequest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		buffer := []byte(text)
		got, _ := parseRequest(buffer)
		for i := range buffer {
			buffer[i] = '!'
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %+v", text, got)
		}
	}
}

func malformed(s Stats) uint64 { return s.Refused.Malformed }

func TestVerdicts(t *testing.T) {
	self := signaling.SelfTopic(engine.AppRoom("demo"), "nobody")
	for _, tt := range []struct {
		name   string
		change func(ev *nostr.Event) // of a valid announce
		resign bool
		ok     bool
		reason string
		count  func(EventStats) uint64
		junk   bool
	}{
		{"valid", func(*nostr.Event) {}, false, true, "", func(s EventStats) uint64 { return s.Accepted }, false},
		{"lowest kind", func(ev *nostr.Event) { ev.Kind = 20000 }, true, true, "", func(s EventStats) uint64 { return s.Accepted }, false},
		{"stored kind", func(ev *nostr.Event) { ev.Kind = 1 }, true, false, "blocked: this relay carries ephemeral kinds", blocked, false},
		{"addressable kind", func(ev *nostr.Event) { ev.Kind = 30000 }, true, false, "blocked: this relay carries ephemeral kinds", blocked, false},
		{"an hour fast", func(ev *nostr.Event) { ev.CreatedAt += 3600 }, true, true, "", func(s EventStats) uint64 { return s.Accepted }, false},
		{"two days old", func(ev *nostr.Event) { ev.CreatedAt -= 2 * 86400 }, true, false, "invalid: created_at", invalid, false},
		{"two days ahead", func(ev *nostr.Event) { ev.CreatedAt += 2 * 86400 }, true, false, "invalid: created_at", invalid, false},
		{"end of time", func(ev *nostr.Event) { ev.CreatedAt = 1<<63 - 1 }, true, false, "invalid: created_at", invalid, false},
		{"beginning of time", func(ev *nostr.Event) { ev.CreatedAt = -1 << 63 }, true, false, "invalid: created_at", invalid, false},
		{"too many tags", func(ev *nostr.Event) { ev.Tags = slices.Repeat(ev.Tags, 65) }, true, false, "invalid: 65 tags", invalid, false},
		{"changed content", func(ev *nostr.Event) { ev.Content = "x" }, false, false, "invalid: the id is not", invalid, true},
		{"upper-case key", func(ev *nostr.Event) { ev.PubKey = strings.ToUpper(ev.PubKey) }, false, false, "invalid: id, pubkey and sig", invalid, true},
		{"short signature", func(ev *nostr.Event) { ev.Sig = ev.Sig[:126] }, false, false, "invalid: id, pubkey and sig", invalid, true},
		{"wrong signature", func(ev *nostr.Event) { ev.Sig = forge(ev.Sig) }, false, false, "invalid: bad signature", func(s EventStats) uint64 { return s.Forged }, true},
		{"key that is no point", func(ev *nostr.Event) { ev.PubKey = strings.Repeat("f", 64); ev.ID = ev.GetID() }, false, false, "invalid: bad signature", func(s EventStats) uint64 { return s.Forged }, true},
		{"no topic", func(ev *nostr.Event) { ev.Tags = nostr.Tags{} }, true, false, "blocked: this relay carries events with a topic", blocked, false},
		{"topic without a value", func(ev *nostr.Event) { ev.Tags = nostr.Tags{{"x"}} }, true, false, "blocked: this relay carries events with a topic", blocked, false},
		{"strange topic", func(ev *nostr.Event) { ev.Tags = nostr.Tags{{"x", "abc"}} }, true, false, "blocked: this relay carries the rooms", blocked, false},
		{"self topic of nobody", func(ev *nostr.Event) { ev.Tags = nostr.Tags{{"x", self}} }, true, false, "blocked: this relay carries the rooms", blocked, false},
		{"a strange topic too", func(ev *nostr.Event) { ev.Tags = append(ev.Tags, nostr.Tag{"x", "abc"}) }, true, false, "blocked: this relay carries the rooms", blocked, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, r *Relay) {
				c, other := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
				other.send(`["REQ","all",{}]`)
				other.expect(`["EOSE"`)
				ev := announcement(t, "P")
				tt.change(ev)
				if tt.resign {
					sign(t, ev)
				}
				c.send(ev)
				c.expect(okText(ev, tt.ok, tt.reason))
				if tt.ok {
					other.expect(eventText("all", ev))
				} else {
					other.expect()
				}
				if n := tt.count(r.Stats().Events); n != 1 {
					t.Errorf("counted %d times: %+v", n, r.Stats().Events)
				}
				// Only junk brings the connection nearer to its end.
				for range r.limits.Violations - 1 {
					c.send("junk")
				}
				synctest.Wait()
				select {
				case <-c.done:
					t.Error("closed too early")
				default:
				}
				c.send("junk")
				synctest.Wait()
				select {
				case <-c.done:
					if !tt.junk {
						t.Error("closed, but it was no violation")
					}
				default:
					if tt.junk {
						t.Error("not closed, but it was a violation")
					}
				}
			})
		})
	}
}

func blocked(s EventStats) uint64 { return s.Blocked }
func invalid(s EventStats) uint64 { return s.Invalid }

// forge changes a signature so that it is still one in form.
func forge(sig string) string {
	last := byte('0')
	if sig[len(sig)-1] == last {
		last = '1'
	}
	return sig[:len(sig)-1] + string(last)
}

// Every frame that GenosDB was observed to send gets the answer it should.
func TestObservedFrames(t *testing.T) {
	var frames [][]json.RawMessage
	raw, err := os.ReadFile("testdata/frames.json")
	if err == nil {
		err = json.Unmarshal(raw, &frames)
	}
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, Config{Open: true}, func(t *testing.T, r *Relay) {
		// The events are of 22 November 2026.
		time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		c, all := connect(t, r, "192.0.2.1"), connect(t, r, "192.0.2.2")
		all.send(`["REQ","all",{}]`)
		all.expect(`["EOSE"`)
		for _, frame := range frames {
			text, err := json.Marshal(frame)
			if err != nil {
				t.Fatal(err)
			}
			c.send(string(text))
			switch string(frame[0]) {
			case `"REQ"`:
				c.expect(fmt.Sprintf(`["EOSE",%s]`, frame[1]))
			case `"CLOSE"`:
				c.expect()
			case `"EVENT"`:
				var ev nostr.Event
				if err := json.Unmarshal(frame[1], &ev); err != nil {
					t.Fatal(err)
				}
				if got := c.got(); len(got) == 0 || got[0] != okText(&ev, true, `"]`) {
					t.Errorf("%s: %s", frame[1], got)
				}
				got := all.got()
				if len(got) != 1 {
					t.Fatalf("%s: delivered %d times", frame[1], len(got))
				}
				var envelope nostr.EventEnvelope
				if err := envelope.UnmarshalJSON([]byte(got[0])); err != nil {
					t.Fatal(err)
				}
				if envelope.Event.String() != ev.String() {
					t.Errorf("delivered\n%s\nfor\n%s", envelope.Event, ev)
				}
			}
		}
	})
}

// What is sent on is what was signed, without what else the JSON contained.
func TestEventIsSentInCanonicalForm(t *testing.T) {
	bubble(t, Config{Open: true}, func(t *testing.T, r *Relay) {
		c := connect(t, r, "192.0.2.1")
		c.send(`["REQ","s",{}]`)
		c.expect(`["EOSE"`)
		content := "\x00\x01\b\t\n\v\f\r\x1a\x1f\"\\/<>&\u007f\u2028é😀"
		ev := sign(t, &nostr.Event{Kind: 20001, CreatedAt: nostr.Now(), Content: content,
			Tags: nostr.Tags{{"x", "a\"],[\"b"}, {}, {"]", "}"}}})
		text := strings.Replace(eventMessage(ev), `{`, `{"content":"evil","extra":{"a":[1,{}]},`, 1)
		c.send(text)
		got := c.got()
		if len(got) != 2 {
			t.Fatalf("got %q", got)
		}
		var frame []json.RawMessage
		if err := json.Unmarshal([]byte(got[1]), &frame); err != nil {
			t.Fatalf("%s: %v", got[1], err)
		}
		var fields map[string]any
		if err := json.Unmarshal(frame[2], &fields); err != nil || len(fields) != 7 {
			t.Errorf("fields: %v, %v", fields, err)
		}
		var back nostr.Event
		if err := json.Unmarshal(frame[2], &back); err != nil || back.Content != content || !back.CheckID() {
			t.Errorf("came back as %s, %v", back, err)
		}
		if ok, err := back.CheckSignature(); !ok || err != nil {
			t.Errorf("signature: %t, %v", ok, err)
		}
	})
}
