package handler

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reading is the far end of a stream of events.
type reading struct {
	t      testing.TB
	lines  *bufio.Reader
	header http.Header
	cancel context.CancelFunc
}

// event is one event as a browser understands it.
type event struct {
	kind, id, data string
	comment        bool // it has nothing else
}

func (s *site) events(room, query string, header http.Header) *reading {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+"/genosrtc/rooms/"+room+"/events"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("events of %s: %d", room, res.StatusCode)
	}
	return &reading{s.t, bufio.NewReader(res.Body), res.Header, cancel}
}

// parse reads an event (WHATWG HTML, "Interpreting an event stream").
func (r *reading) parse() (e event, err error) {
	text, err := readEvent(r.lines)
	e.comment = true
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			if e.data != "" {
				e.data += "\n"
			}
			e.data += value
			e.comment = false
		case "":
			if e.data == "" && value != "" {
				e.data = value
			}
		}
	}
	return e, err
}

func (r *reading) next() event {
	r.t.Helper()
	e, err := r.parse()
	if err != nil {
		r.t.Fatalf("reading events: %v", err)
	}
	return e
}

// message returns the data of the next message.
func (r *reading) message() map[string]any {
	r.t.Helper()
	for {
		e := r.next()
		if e.kind != "" || e.comment {
			continue
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			r.t.Fatalf("%q: %v", e.data, err)
		}
		if seq, _ := m["seq"].(float64); strconv.FormatUint(uint64(seq), 10) != e.id {
			r.t.Errorf("id %s of %s", e.id, e.data)
		}
		return m
	}
}

func (s *site) post(channel, body string) {
	s.t.Helper()
	res, err := http.Post(s.server.URL+"/genosrtc/rooms/demo/channels/"+channel, "text/plain", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		s.t.Fatalf("POST: %d", res.StatusCode)
	}
}

// Sessions, readers and POSTs are in one room.
func TestEventsBesideSessions(t *testing.T) {
	s := serve(t, Config{})
	r := s.events("demo", "", nil)
	if e := r.next(); e.kind != "welcome" || e.id == "" {
		t.Fatalf("%+v", e)
	}
	c := s.enter()
	if e := r.next(); e.kind != "peer" || !strings.Contains(e.data, `"event":"join"`) || !strings.Contains(e.data, c.id) {
		t.Errorf("%+v", e)
	}
	c.say(`{"op":"send","seq":1,"channel":"chat","data":{"$bin":"AAEC"},"meta":{"name":"a"}}`)
	if m := r.message(); m["from"] != c.id || m["channel"] != "chat" || m["meta"] == nil || m["data"].(map[string]any)["$bin"] != "AAEC" {
		t.Errorf("%v", m)
	}
	c.say(`{"op":"send","seq":2,"channel":"chat","data":"not for readers","to":[%q]}`, c.id)
	c.hear("ack")
	s.post("chat", "by POST")
	if m := c.hear("message"); m["data"] != "by POST" {
		t.Errorf("%v", m)
	}
	if m := r.message(); m["data"] != "by POST" {
		t.Errorf("%v", m)
	}
	if n := s.h.Stats(); n.Sessions != 2 || n.Opened != 2 || n.Published != 1 {
		t.Errorf("%+v", n)
	}
	r.cancel()
	eventually(t, "the stream did not end", func() bool { return s.h.Stats().Sessions == 1 })
}

func TestStreamFormat(t *testing.T) {
	var s stream
	s.event("peer", 7, []byte("a\r\nb\rc\n\nd"))
	s.heartbeat(8)
	s.comment("over")
	want := "event: peer\nid: 7\ndata: a\ndata: b\ndata: c\ndata: \ndata: d\n\n:\nid: 8\n\n: over\n\n"
	if string(s.buf) != want {
		t.Errorf("%q", s.buf)
	}
	r := reading{t: t, lines: bufio.NewReader(bytes.NewReader(s.buf))}
	if e := r.next(); e != (event{"peer", "7", "a\nb\nc\n\nd", false}) {
		t.Errorf("%+v", e)
	}
}
