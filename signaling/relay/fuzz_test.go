package relay

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/nbd-wtf/go-nostr"
)

// FuzzMessage gives a relay whatever a client may send. Whatever it is, every
// answer is a message of NIP-01, and an event that is passed on is the one that
// was signed.
func FuzzMessage(f *testing.F) {
	raw, err := os.ReadFile("testdata/frames.json")
	var frames []json.RawMessage
	if err == nil {
		err = json.Unmarshal(raw, &frames)
	}
	if err != nil {
		f.Fatal(err)
	}
	for _, frame := range frames {
		f.Add([]byte(frame))
	}
	for _, s := range []string{`["COUNT","a",{}]`, `["AUTH",{}]`, `["REQ","a",{"#x":null,"ids":[]},null]`, `[`, `["CLOSE"`, "[\"REQ\",\"\xff\"]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := New(Config{Open: true, Limits: Limits{Values: 50}})
		c, err := r.Accept("192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Cancel()
		c.handle([]byte(`["REQ","all",{}]`))
		original := bytes.Clone(text)
		c.handle(text)
		if !bytes.Equal(text, original) {
			t.Error("the message was changed")
		}
		clear(text) // the transport uses its buffer again
		for _, d := range c.queue.take(nil) {
			m := d.message()
			answer := append(bytes.Clone(m.Head), m.Tail...)
			var parts []json.RawMessage
			if !utf8.Valid(answer) || json.Unmarshal(answer, &parts) != nil {
				t.Fatalf("%q was answered with %q", original, answer)
			}
			switch string(parts[0]) {
			case `"OK"`, `"EOSE"`, `"CLOSED"`, `"NOTICE"`:
			case `"EVENT"`:
				var ev nostr.Event
				if err := json.Unmarshal(parts[2], &ev); err != nil || !ev.CheckID() {
					t.Fatalf("%q was passed on as %q", original, answer)
				}
			default:
				t.Fatalf("%q was answered with %q", original, answer)
			}
		}
	})
}

// FuzzEvent encodes events with any content, as if their signature held.
func FuzzEvent(f *testing.F) {
	f.Add("content", "x", "value", int64(1795351031), 20001)
	f.Add("\x00\x1f\u2028\\\"", "]", "[", int64(-1), -5)
	f.Fuzz(func(t *testing.T, content, name, value string, at int64, kind int) {
		if !utf8.ValidString(content) || !utf8.ValidString(name) || !utf8.ValidString(value) {
			t.Skip()
		}
		ev := &nostr.Event{CreatedAt: nostr.Timestamp(at), Kind: kind, Content: content,
			Tags: nostr.Tags{{name, value}, {}, {value}}, PubKey: string(bytes.Repeat([]byte("a"), 64))}
		ev.ID = ev.GetID()
		tail := serialized(ev.Serialize()).tail(ev)
		req, err := parseRequest(append([]byte(`["EVENT",`), tail...))
		if err != nil {
			t.Fatalf("%s: %v", tail, err)
		}
		if req.event.String() != ev.String() || !req.event.CheckID() {
			t.Errorf("%s came back as %s", ev, req.event)
		}
		readSignal(content)
	})
}
