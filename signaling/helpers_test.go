package signaling

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// testRelay is a small relay that serves as NIP-01 says, unless a hook answers
// in its place, and remembers what it was sent.
type testRelay struct {
	url string
	// answer may reply to a message. If it returns nil, the relay serves.
	answer func(nostr.Envelope) []string
	// admit may refuse the handshake.
	admit func(http.ResponseWriter) bool

	mu       sync.Mutex
	conns    map[*websocket.Conn]map[string]nostr.Filters
	accepted []time.Time
	received []nostr.Envelope
	closes   []websocket.StatusCode
	hold     chan struct{} // while it is open the relay reads nothing: no pongs either
}

// inMemory lets servers and clients meet without a network, so that tests can
// use the fake clock of testing/synctest.
type inMemory struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *inMemory) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *inMemory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// network is a set of relays in memory, by host name.
type network struct {
	mu        sync.Mutex
	listeners map[string]*inMemory
}

func (n *network) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			n.mu.Lock()
			l := n.listeners[host]
			n.mu.Unlock()
			if l == nil {
				return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.UnknownNetworkError(host)}
			}
			ours, theirs := net.Pipe()
			select {
			case l.conns <- theirs:
				return ours, nil
			case <-l.done:
				return nil, net.ErrClosed
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}}
}

// relay starts a relay in memory, ws://host.
func (n *network) relay(t *testing.T, host string) *testRelay {
	l := &inMemory{conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	if n.listeners == nil {
		n.listeners = make(map[string]*inMemory)
	}
	n.listeners[host] = l
	n.mu.Unlock()
	r := &testRelay{url: "ws://" + host, conns: make(map[*websocket.Conn]map[string]nostr.Filters)}
	server := httptest.NewUnstartedServer(r)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(func() {
		r.drop()
		server.Close()
	})
	return r
}

// down makes a host unreachable, and cuts its sockets.
func (n *network) down(r *testRelay) (up func()) {
	host := strings.TrimPrefix(r.url, "ws://")
	n.mu.Lock()
	l := n.listeners[host]
	delete(n.listeners, host)
	n.mu.Unlock()
	r.drop()
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.listeners[host] = l
	}
}

func (r *testRelay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.accepted = append(r.accepted, time.Now())
	r.mu.Unlock()
	if r.admit != nil && !r.admit(w) {
		return
	}
	conn, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(1 << 20)
	defer conn.CloseNow()
	r.mu.Lock()
	r.conns[conn] = make(map[string]nostr.Filters)
	r.mu.Unlock()
	for {
		_, message, err := conn.Read(context.Background())
		if err != nil {
			r.mu.Lock()
			delete(r.conns, conn)
			r.closes = append(r.closes, websocket.CloseStatus(err))
			r.mu.Unlock()
			return
		}
		m := nostr.ParseMessage(message)
		r.mu.Lock()
		hold := r.hold
		r.received = append(r.received, m)
		r.mu.Unlock()
		if hold != nil {
			<-hold
		}
		if r.answer != nil {
			if replies := r.answer(m); replies != nil {
				for _, reply := range replies {
					write(conn, reply)
				}
				continue
			}
		}
		r.serve(conn, m)
	}
}

func (r *testRelay) serve(conn *websocket.Conn, m nostr.Envelope) {
	switch m := m.(type) {
	case *nostr.ReqEnvelope:
		r.mu.Lock()
		r.conns[conn][m.SubscriptionID] = m.Filters
		r.mu.Unlock()
		write(conn, `["EOSE","`+m.SubscriptionID+`"]`)
	case *nostr.CloseEnvelope:
		r.mu.Lock()
		delete(r.conns[conn], string(*m))
		r.mu.Unlock()
	case *nostr.EventEnvelope:
		write(conn, `["OK","`+m.ID+`",true,""]`)
		r.fanOut(&m.Event)
	}
}

// fanOut sends an event to all subscriptions that match it.
func (r *testRelay) fanOut(ev *nostr.Event) {
	type target struct {
		conn *websocket.Conn
		sub  string
	}
	var targets []target
	r.mu.Lock()
	for conn, subs := range r.conns {
		for sub, filters := range subs {
			if filters.Match(ev) {
				targets = append(targets, target{conn, sub})
			}
		}
	}
	r.mu.Unlock()
	for _, t := range targets {
		write(t.conn, eventMessage(t.sub, ev))
	}
}

// say sends a text to every client as it stands.
func (r *testRelay) say(text string) {
	r.mu.Lock()
	conns := slices.Collect(func(yield func(*websocket.Conn) bool) {
		for c := range r.conns {
			if !yield(c) {
				return
			}
		}
	})
	r.mu.Unlock()
	for _, c := range conns {
		write(c, text)
	}
}

// stall lets the relay read nothing after its next message, until resume.
func (r *testRelay) stall() (resume func()) {
	hold := make(chan struct{})
	r.mu.Lock()
	r.hold = hold
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.hold = nil
		r.mu.Unlock()
		close(hold)
	}
}

// drop cuts all sockets without a word.
func (r *testRelay) drop() {
	r.mu.Lock()
	conns := r.conns
	r.conns = make(map[*websocket.Conn]map[string]nostr.Filters)
	r.mu.Unlock()
	for c := range conns {
		c.CloseNow()
	}
}

func write(conn *websocket.Conn, text string) {
	conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

// reqs returns the REQs that came.
func (r *testRelay) reqs() (reqs []*nostr.ReqEnvelope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.received {
		if req, ok := m.(*nostr.ReqEnvelope); ok {
			reqs = append(reqs, req)
		}
	}
	return reqs
}

// events returns the contents of the events that came.
func (r *testRelay) events() (contents []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.received {
		if ev, ok := m.(*nostr.EventEnvelope); ok {
			contents = append(contents, ev.Content)
		}
	}
	return contents
}

// messages returns the labels of all that came, in order.
func (r *testRelay) messages() (labels []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.received {
		labels = append(labels, m.Label())
	}
	return labels
}

func (r *testRelay) closeCodes() []websocket.StatusCode {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.closes)
}

func (r *testRelay) connections() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accepted)
}

func eventMessage(sub string, ev *nostr.Event) string {
	b, err := nostr.EventEnvelope{SubscriptionID: &sub, Event: *ev}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return string(b)
}

// browser makes the events of a remote peer.
type browser struct {
	t    testing.TB
	id   string
	key  string
	room string
}

func newBrowser(t testing.TB, room, id string) *browser {
	return &browser{t, id, nostr.GeneratePrivateKey(), room}
}

func (b *browser) event(topic, content string) *nostr.Event {
	ev := &nostr.Event{
		Kind:      Kind(topic),
		CreatedAt: nostr.Timestamp(time.Now().Unix()),
		Tags:      nostr.Tags{{"x", topic}},
		Content:   content,
	}
	return b.sign(ev)
}

func (b *browser) sign(ev *nostr.Event) *nostr.Event {
	if err := ev.Sign(b.key); err != nil {
		b.t.Fatal(err)
	}
	return ev
}

func (b *browser) announce() *nostr.Event {
	return b.event(RootTopic(b.room), `{"peerId":"`+b.id+`"}`)
}

func (b *browser) offer(to, password, sdp string) *nostr.Event {
	return b.event(SelfTopic(b.room, to), b.description("offer", password, sdp))
}

func (b *browser) description(kind, password, sdp string) string {
	envelope, err := key(b.t, password, b.room).seal(sdp, newIV())
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"peerId": b.id,
		kind:     map[string]string{"type": kind, "sdp": envelope},
		"peer":   map[string]any{"created": 1, "connection": struct{}{}, "isDead": false},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *browser) author() string {
	author, err := nostr.GetPublicKey(b.key)
	if err != nil {
		b.t.Fatal(err)
	}
	return author
}

// inbox collects what a room is handed.
type inbox struct {
	mu      sync.Mutex
	signals []engine.Signal
}

func (i *inbox) deliver(s engine.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signals = append(i.signals, s)
}

// take returns what came since the last call.
func (i *inbox) take() []engine.Signal {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.signals
	i.signals = nil
	return s
}

// newPool starts a pool that ends with the test.
func newPool(t *testing.T, cfg Config) *Pool {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

func open(t *testing.T, p *Pool, room, password string) (engine.SignalingRoom, *inbox) {
	t.Helper()
	in := new(inbox)
	r, err := p.Open(room, password, in.deliver)
	if err != nil {
		t.Fatal(err)
	}
	return r, in
}

// status returns what the pool says of a relay.
func status(t *testing.T, p *Pool, url string) RelayStatus {
	t.Helper()
	for _, s := range p.Status() {
		if s.URL == url {
			return s
		}
	}
	t.Fatalf("relay %s is not in %v", url, p.Status())
	return RelayStatus{}
}

// settle lets everything happen that is under way.
func settle() {
	time.Sleep(refreshDelay)
	synctest.Wait()
}
