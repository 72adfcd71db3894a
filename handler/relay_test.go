package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
	"github.com/nbd-wtf/go-nostr"
	"go.uber.org/goleak"
)

var relayTestRoot = signaling.RootTopic(engine.AppRoom("demo"))

// serveRelay serves a relay on loopback, and returns its ws URL. At the end of
// the test nothing of it may be left.
func serveRelay(t *testing.T, limits relay.Limits) (*relay.Relay, string) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	r := relay.New(relay.Config{Limits: limits})
	r.SetRooms([]string{"demo"})
	server := httptest.NewServer(NewRelay(r, RelayConfig{}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("closing the relay: %v", err)
		}
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, ignore)
	})
	return r, "ws" + strings.TrimPrefix(server.URL, "http") + "/genosrtc/relay"
}

func dialRelay(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

func relaySend(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func relayExpect(t *testing.T, ws *websocket.Conn, prefix string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	kind, b, err := ws.Read(ctx)
	if err != nil {
		t.Fatalf("waiting for %s…: %v", prefix, err)
	}
	if kind != websocket.MessageText || !strings.HasPrefix(string(b), prefix) {
		t.Fatalf("got %s, want %s…", b, prefix)
	}
	return string(b)
}

func relayExpectClose(t *testing.T, ws *websocket.Conn, code websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := ws.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				t.Errorf("closed with %d (%v), want %d", got, err, code)
			}
			return
		}
	}
}

func relayEvent(t *testing.T, content string) *nostr.Event {
	t.Helper()
	ev := &nostr.Event{Kind: signaling.Kind(relayTestRoot), CreatedAt: nostr.Now(), Tags: nostr.Tags{{"x", relayTestRoot}}, Content: content}
	if err := ev.Sign(strings.Repeat("01", 32)); err != nil {
		t.Fatal(err)
	}
	return ev
}

// go-nostr's connection and messages, which share no code with the relay's
// sockets and replies. (Its Relay type is not used, as closing it is a race.)
func TestRelayWithAnIndependentClient(t *testing.T) {
	_, url := serveRelay(t, relay.Limits{})
	dial := func() (send func(nostr.Envelope), receive func() nostr.Envelope) {
		conn, err := nostr.NewConnection(t.Context(), url, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		send = func(e nostr.Envelope) {
			t.Helper()
			text, err := e.MarshalJSON()
			if err == nil {
				err = conn.WriteMessage(t.Context(), text)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		receive = func() nostr.Envelope {
			t.Helper()
			var b bytes.Buffer
			if err := conn.ReadMessage(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			return nostr.ParseMessage(b.Bytes())
		}
		return send, receive
	}
	publish, answer := dial()
	subscribe, receive := dial()

	future := nostr.Now() + 60
	subscribe(&nostr.ReqEnvelope{SubscriptionID: "s", Filters: nostr.Filters{
		{Kinds: []int{signaling.Kind(relayTestRoot)}, Tags: nostr.TagMap{"x": {"other", relayTestRoot}}, Since: &future},
		{Kinds: []int{20000}},
	}})
	if e, ok := receive().(*nostr.EOSEEnvelope); !ok || *e != "s" {
		t.Fatalf("got %v, want EOSE", e)
	}
	for i := range 10 {
		ev := relayEvent(t, fmt.Sprintf(`{"peerId":"P%d"}`, i))
		publish(&nostr.EventEnvelope{Event: *ev})
		if e, ok := answer().(*nostr.OKEnvelope); !ok || !e.OK || e.EventID != ev.ID {
			t.Fatalf("got %v, want OK", e)
		}
		if e, ok := receive().(*nostr.EventEnvelope); !ok || *e.SubscriptionID != "s" || e.Event.String() != ev.String() {
			t.Fatalf("got %v, want %s", e, ev)
		}
	}
	elsewhere := nostr.Event{Kind: 20000, CreatedAt: nostr.Now(), Tags: nostr.Tags{{"x", "other"}}}
	if err := elsewhere.Sign(strings.Repeat("01", 32)); err != nil {
		t.Fatal(err)
	}
	publish(&nostr.EventEnvelope{Event: elsewhere})
	if e, ok := answer().(*nostr.OKEnvelope); !ok || e.OK || !strings.HasPrefix(e.Reason, "blocked: ") {
		t.Errorf("got %v, want it blocked", e)
	}
	subscribe(&nostr.ReqEnvelope{SubscriptionID: "t", Filters: make(nostr.Filters, 21)})
	if e, ok := receive().(*nostr.ClosedEnvelope); !ok || e.SubscriptionID != "t" || !strings.HasPrefix(e.Reason, "restricted: ") {
		t.Errorf("got %v, want CLOSED", e)
	}
}

func TestRelayMessageSizes(t *testing.T) {
	r, url := serveRelay(t, relay.Limits{})
	for size, code := range map[int]websocket.StatusCode{r.Limits().Message: 0, r.Limits().Message + 1: 1009, 10 << 20: 1009} {
		ws := dialRelay(t, url)
		const head, tail = `["EVENT",{"content":"`, `"}]`
		text := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		go ws.Write(t.Context(), websocket.MessageText, []byte(text)) // may not come to its end
		if code == 0 {
			relayExpect(t, ws, `["NOTICE","invalid: id, pubkey`)
			continue
		}
		relayExpect(t, ws, `["NOTICE","invalid: message above 32768 bytes`)
		relayExpectClose(t, ws, code)
	}
	if s := r.Stats(); s.Closed.TooLarge != 2 {
		t.Errorf("%+v", s)
	}
}

func TestRelayLargestEvent(t *testing.T) {
	_, url := serveRelay(t, relay.Limits{})
	ws := dialRelay(t, url)
	relaySend(t, ws, `["REQ","s",{}]`)
	relayExpect(t, ws, `["EOSE"`)
	ev := relayEvent(t, strings.Repeat("x", 32_000))
	relaySend(t, ws, `["EVENT",`+ev.String()+`]`)
	relayExpect(t, ws, `["OK"`)
	if got := relayExpect(t, ws, `["EVENT","s",`); !strings.Contains(got, ev.Content) {
		t.Error("the event was changed")
	}
}

func TestRelayBinaryAndControlFrames(t *testing.T) {
	r, url := serveRelay(t, relay.Limits{})
	ws := dialRelay(t, url)
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(`["REQ","s",{}]`)); err != nil {
		t.Fatal(err)
	}
	relayExpect(t, ws, `["NOTICE","invalid: binary`)
	// Pings are answered between messages, and do not break them.
	relaySend(t, ws, `["REQ","s",{}]`)
	relayExpect(t, ws, `["EOSE"`)
	received := make(chan error, 1)
	const events = 100
	go func() {
		for range events {
			if _, b, err := ws.Read(t.Context()); err != nil || !json.Valid(b) {
				received <- fmt.Errorf("%s: %w", b, err)
				return
			}
		}
		received <- nil
	}()
	for i := range events {
		r.Publish(relayEvent(t, fmt.Sprint(i)))
		if i%10 == 0 {
			if err := ws.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-received; err != nil {
		t.Error(err)
	}
	// A client that says goodbye is forgotten.
	ws.Close(websocket.StatusNormalClosure, "")
	relayEventually(t, func() bool { return r.Stats().Connections == 0 })
}

func TestRelayRefusesBeforeTheUpgrade(t *testing.T) {
	r, url := serveRelay(t, relay.Limits{ConnectionsPerAddress: 1})
	ws := dialRelay(t, url)
	_, response, err := websocket.Dial(t.Context(), url, nil)
	if err == nil || response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("second socket of an address: %v, %v", response, err)
	}
	closed := make(chan error)
	go func() { closed <- r.Close(t.Context()) }()
	relayExpectClose(t, ws, websocket.StatusGoingAway)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, response, err := websocket.Dial(t.Context(), url, nil); err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: %v, %v", response, err)
	}
}

// A client that does not read is cut off; meanwhile nobody else notices.
func TestRelayCutsSlowSockets(t *testing.T) {
	r, url := serveRelay(t, relay.Limits{Slow: 200 * time.Millisecond})
	slow, quick := dialRelay(t, url), dialRelay(t, url)
	for _, ws := range []*websocket.Conn{slow, quick} {
		relaySend(t, ws, `["REQ","s",{}]`)
		relayExpect(t, ws, `["EOSE"`)
	}
	var received atomic.Int64
	go func() {
		for {
			if _, _, err := quick.Read(t.Context()); err != nil {
				return
			}
			received.Add(1)
		}
	}()
	ev := relayEvent(t, strings.Repeat("x", 30_000))
	sent := 0
	for deadline := time.Now().Add(20 * time.Second); r.Stats().Closed.Slow == 0; sent++ {
		if time.Now().After(deadline) {
			t.Fatal("never cut")
		}
		r.Publish(ev)
		time.Sleep(time.Millisecond)
	}
	relayEventually(t, func() bool { return r.Stats().Connections == 1 })
	relayEventually(t, func() bool { return received.Load() == int64(sent) })
}

func TestRelayByHeaders(t *testing.T) {
	open := NewRelay(relay.New(relay.Config{Open: true}), RelayConfig{Name: "a <b>", Version: "v1"})
	request := func(method string, header http.Header) *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "http://relay.example/genosrtc/relay", nil)
		r.Header = header
		open.ServeHTTP(w, r)
		return w.Result()
	}
	text := func(r *http.Response) string {
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}

	r := request("GET", http.Header{"Accept": {"text/html, application/nostr+json;q=1"}})
	var doc struct {
		Name, Version string
		SupportedNIPs []int `json:"supported_nips"`
		Limitation    map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/nostr+json" || r.Header.Get("Access-Control-Allow-Origin") != "*" ||
		doc.Name != "a <b>" || doc.Version != "v1" || doc.Limitation["max_message_length"] != 32768.0 || doc.Limitation["restricted_writes"] != false {
		t.Errorf("NIP-11: %v %+v", r, doc)
	}

	r = request("GET", http.Header{"Accept": {"text/html,*/*"}})
	if page := text(r); r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") ||
		!strings.Contains(page, "a &lt;b&gt;") || !strings.Contains(page, "ws://relay.example/genosrtc/relay") {
		t.Errorf("status page: %v\n%s", r, page)
	}
	if r = request("HEAD", nil); r.StatusCode != 200 {
		t.Errorf("HEAD: %v", r)
	}
	if r = request("OPTIONS", nil); r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Headers") != "*" || r.Header.Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("OPTIONS: %v", r)
	}
	if r = request("POST", nil); r.StatusCode != 405 || r.Header.Get("Allow") == "" {
		t.Errorf("POST: %v", r)
	}
	if r = request("CONNECT", http.Header{":protocol": {"websocket"}}); r.StatusCode != 426 || !strings.Contains(text(r), "HTTP/1.1") {
		t.Errorf("extended CONNECT: %v", r)
	}
	// A handshake that is none gives its place back.
	if r = request("GET", http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"8"}}); r.StatusCode != 400 {
		t.Errorf("old WebSocket: %v", r)
	}
	if n := open.(*relayHandler).relay.Stats().Connections; n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestRelayOverHTTP2(t *testing.T) {
	h := NewRelay(relay.New(relay.Config{}), RelayConfig{})
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := http.NewRequest("GET", server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/nostr+json")
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != 200 {
		t.Errorf("%v", response)
	}
}

func TestRelayAddressOfClient(t *testing.T) {
	r := relay.New(relay.Config{Limits: relay.Limits{ConnectionsPerAddress: 1}})
	h := NewRelay(r, RelayConfig{ClientIP: func(r *http.Request) string { return r.Header.Get("Test-Client") }})
	server := httptest.NewServer(h)
	defer server.Close()
	defer r.Close(context.Background())
	for _, tt := range []struct {
		address string
		ok      bool
	}{{"192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.1", false}} {
		ws, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Test-Client": {tt.address}}})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.address, err)
		}
		if err == nil {
			defer ws.CloseNow()
		}
	}
}

// relayPipes is a network in memory, for a bubble.
type relayPipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l relayPipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l relayPipes) Close() error   { close(l.closed); return nil }
func (l relayPipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l relayPipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours, nil
}

// A client that answers pings stays for as long as it likes; one that does not
// is noticed.
func TestRelayNoticesDeadSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relay.New(relay.Config{})
		l := relayPipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: NewRelay(r, RelayConfig{})}
		go server.Serve(l)
		client := &http.Client{Transport: &http.Transport{DialContext: l.dial}}
		dial := func() *websocket.Conn {
			ws, _, err := websocket.Dial(t.Context(), "ws://relay.example", &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			return ws
		}
		alive, dead := dial(), dial()
		go alive.Read(context.Background())
		synctest.Wait()
		time.Sleep(relayPingEvery + time.Second)
		if n := r.Stats().Connections; n != 2 {
			t.Errorf("%d connections", n)
		}
		time.Sleep(relayPongWithin + 5*time.Second)
		if n := r.Stats().Connections; n != 1 {
			t.Errorf("%d connections, want the dead one to be gone", n)
		}
		time.Sleep(time.Hour)
		if n := r.Stats().Connections; n != 1 {
			t.Errorf("%d connections, want the living one to stay", n)
		}
		dead.CloseNow()
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		alive.CloseNow()
		server.Close()
		client.CloseIdleConnections()
	})
}

func relayEventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in 10 s")
		}
	}
}
