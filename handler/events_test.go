package handler

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
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
	if header != nil {
		r.Header = header
	}
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
// What is said to the mesh itself is read and posted as on any channel.
func TestEventsOfTheMesh(t *testing.T) {
	s := serve(t, Config{})
	r := s.events("demo", "?channel=@_mesh", nil)
	r.next() // welcome
	s.post("@_mesh", "hello")
	if m := r.message(); m["channel"] != "@_mesh" || m["data"] != "hello" {
		t.Errorf("%v", m)
	}
}

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
	c.say(`{"op":"send","seq":2,"channel":"chat","data":"not for readers","to":[]}`)
	for c.hear("ack")["seq"] != 2.0 {
	}
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

// inTime runs a stream with a grant in virtual time, and returns what was written
// and why it ended.
func inTime(t *testing.T, grant session.Grant, during func(*Handler, *engine.Room, context.CancelFunc)) (written string, why error) {
	synctest.Test(t, func(t *testing.T) {
		s := serveIn(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/genosrtc/rooms/demo/events", nil)
		v := &visit{room: s.room, set: s.h.settings.Load(), grant: grant}
		cfg, refused := v.reading(r)
		if refused != nil {
			t.Fatal(refused.detail)
		}
		reader, err := s.room.Read(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		held := s.h.hold(s.room)
		defer held.release()
		if _, fault := held.admit(v.shown); fault != nil {
			t.Fatal(fault)
		}
		w := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			why = s.h.stream(newStream(w, r), r, v, &roomFeed{Reader: reader, v: v}, held.ctx)
		}()
		during(s.h, s.room, cancel)
		<-ended
		written = w.Body.String()
	})
	return written, why
}

// serveIn is serve without a server, for virtual time.
func serveIn(t *testing.T, cfg Config) *site {
	s := newSite(t, cfg)
	t.Cleanup(func() {
		if err := errors.Join(s.h.Close(context.Background()), s.node.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestHeartbeats(t *testing.T) {
	written, _ := inTime(t, session.Grant{}, func(_ *Handler, room *engine.Room, cancel context.CancelFunc) {
		time.Sleep(heartbeatEvery + time.Second)
		publishText(t, room, "chat", "hello")
		time.Sleep(heartbeatEvery - time.Second)
		synctest.Wait()
		publishText(t, room, "chat", "again")
		time.Sleep(2*heartbeatEvery + time.Second)
		cancel()
	})
	var got []string
	lines := strings.Split(written, "\n")
	last := ""
	for i, line := range lines {
		id, isID := strings.CutPrefix(line, "id: ")
		switch {
		case isID:
			last = id
		case line == ":":
			got = append(got, "heartbeat")
			if lines[i+1] != "id: "+last {
				t.Errorf("a heartbeat at %q, after %s", lines[i+1], last)
			}
		case strings.Contains(line, `"op":"message"`):
			got = append(got, "message")
		}
	}
	if want := "[heartbeat message message heartbeat heartbeat]"; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func publishText(t *testing.T, room *engine.Room, channel, text string) {
	t.Helper()
	if _, err := room.Publish(t.Context(), "tester", engine.Outgoing{Channel: channel, Content: engine.Content{Kind: engine.Text, Data: []byte(text)}}); err != nil {
		t.Error(err)
	}
}

// A grant says of which channels a reader hears, and until when.
func TestGrants(t *testing.T) {
	grant := session.Grant{User: "ada", Subscribe: []string{"chat", "a*"}, Publish: []string{"out"}}
	grant.Expires = time.Date(2000, 1, 1, 0, 0, 50, 0, time.UTC) // virtual time begins 50 s before
	written, why := inTime(t, grant, func(_ *Handler, room *engine.Room, _ context.CancelFunc) {
		for _, channel := range []string{"chat", "secret", "abc"} {
			publishText(t, room, channel, "on "+channel)
		}
		time.Sleep(2 * time.Minute)
	})
	if strings.Contains(written, "secret") || strings.Count(written, `"op":"message"`) != 2 || !strings.Contains(written, `"user":"ada"`) {
		t.Errorf("written %s", written)
	}
	if !strings.HasSuffix(written, ": the credentials have expired\n\n") || strings.Count(written, "\n:\n") != 2 {
		t.Errorf("the end of %s: %v", written, why)
	}
	v := &visit{set: &settings{limits: Limits{}.withDefaults()}, grant: grant}
	for query, want := range map[string]*refusal{"channel=chat": nil, "channel=abc&channel=chat": nil, "channel=secret": forbiddenChannel, "channel=chat&channel=out": forbiddenChannel} {
		if _, why := v.reading(httptest.NewRequest("GET", "/?"+query, nil)); why != want {
			t.Errorf("%s: %+v", query, why)
		}
	}
	for channel, want := range map[string]*refusal{"out": nil, "chat": forbiddenChannel} {
		r := httptest.NewRequest("POST", "/", nil)
		r.SetPathValue("channel", channel)
		if _, why := v.posted(r); why != want {
			t.Errorf("%s: %+v", channel, why)
		}
	}
}

func TestStreamsEndWithTheServer(t *testing.T) {
	s := serve(t, Config{})
	r := s.events("demo", "", nil)
	r.next()
	if err := s.h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if e := r.next(); !e.comment || e.data != "the server is stopping" {
		t.Errorf("%+v", e)
	}
	if _, err := r.parse(); err == nil {
		t.Error("the stream goes on")
	}
	get(t, s.server.URL+"/genosrtc/rooms/demo/events", nil).want(http.StatusServiceUnavailable)
}

// A client that does not read is cut off, alone, and what it missed is there when it
// comes back.
func TestSlowStreamIsCutOff(t *testing.T) {
	s := serve(t, Config{Settings: Settings{Limits: Limits{Pending: 200_000}}})
	raw, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(raw, "GET /genosrtc/rooms/demo/events HTTP/1.1\r\nHost: x\r\n\r\n")
	quick := s.events("demo", "", nil)
	position := quick.next().id
	eventually(t, "the slow one is not there", func() bool { return s.h.Stats().Sessions == 2 })
	text := strings.Repeat("x", 50_000)
	sent := 0
	for ; s.node.Stats().SlowSeats == 0; sent++ {
		s.post("chat", text)
		if m := quick.message(); m["data"] != text {
			t.Fatal("the quick one was disturbed")
		}
	}
	// The handler waits for the deadline of its write; the end of the server does not.
	if err := s.h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.h.Stats(); n.Slow != 1 || n.Sessions != 0 {
		t.Errorf("%+v", n)
	}
	after, err := strconv.ParseUint(position, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.room.Read(t.Context(), engine.ReaderConfig{Resume: true, After: after, Pending: 200_000})
	if err != nil || again.Missed != nil {
		t.Fatal(err, again.Missed)
	}
	defer again.Close()
	for n := 0; n < sent; {
		events, err := again.Next(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		n += len(events)
	}
}

// A new EventSource, which cannot set Last-Event-ID, goes on by its URL.
func TestAfter(t *testing.T) {
	s := serve(t, Config{})
	reader := s.events("demo", "", nil)
	reader.next() // the journal is kept from here on
	publishText(t, s.room, "chat", "one")
	seq := reader.message()["seq"].(float64)
	publishText(t, s.room, "chat", "two")
	for query, want := range map[string]string{
		fmt.Sprintf("?after=%.0f", seq):   "two",
		fmt.Sprintf("?after=%.0f", seq-1): "one",
	} {
		if m := s.events("demo", query, nil).message(); m["data"] != want {
			t.Errorf("%s: %v, want %s", query, m, want)
		}
	}
	get(t, s.server.URL+"/genosrtc/rooms/demo/events?after=x", nil).want(http.StatusBadRequest)
}

// New settings judge the credentials of streams again.
func TestRevokedStreams(t *testing.T) {
	written, why := inTime(t, session.Grant{}, func(h *Handler, room *engine.Room, _ context.CancelFunc) {
		publishText(t, room, "chat", "before")
		synctest.Wait()
		nobody := func(*http.Request) string { return "" }
		if err := h.Configure(Settings{Auth: Auth{User: nobody}}); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(written, "before") || !strings.Contains(why.Error(), "needs credentials") {
		t.Errorf("written %s, ended by %v", written, why)
	}
}
