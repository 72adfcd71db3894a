// Package client is a client of the session protocol (docs/gateway.md): it
// makes a Go program a peer in a room of a GenosRTC server.
//
// A [Room] is a session. It outlives its WebSocket: when that is lost, the room
// connects again, with growing pauses, and resumes. Sends wait meanwhile and
// are repeated until the server has them; messages come in order, each once.
// With a [State] that the application keeps, another process goes on with the
// session of one that was killed.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Options of a room; the zero value is usable.
type Options struct {
	// Password of the room, if it has one.
	Password string
	// Token returns the token to show, if the server wants one; it is asked at each
	// connect, so that an expired one can be replaced. With an error the room
	// connects again later. See StaticToken.
	Token func(context.Context) (string, error)
	// JSON chooses JSON messages, which can be read by people, instead of
	// MessagePack.
	JSON bool
	// History is how many of the room's recent messages a new session is given
	// first, at most 1,000.
	History int
	// State is what another process left behind; nil begins a new session.
	State *State
	// Notify is told what happens beside messages, one event after the other.
	// Nothing is received while it runs: it must neither block nor call Send,
	// Wait or Close.
	Notify func(Event)
	// Accept decides about transfers from others. Without it all are refused.
	// It is called in a goroutine of each transfer.
	Accept func(Incoming) (Sink, error)
	// Passphrases are those of channels that are encrypted end to end, by channel:
	// docs/gateway.md, "End-to-end encryption". Dial takes a fraction of a second
	// for each. The server sees who sends how much to whom on them, not what. A
	// message there that cannot be decrypted is dropped and told as Unreadable;
	// a message is at most what the server takes as one, and transfers are
	// neither sent nor accepted.
	Passphrases map[string]string
	// Logger; nil is silent.
	Logger *slog.Logger
	// HTTPClient makes the WebSocket handshakes; nil is http.DefaultClient.
	HTTPClient *http.Client
	// Header of the handshakes.
	Header http.Header
}

// Peer is a participant of the room. Type is what it declares about itself:
// "superpeer" for a server, "session" for a client like this one, "" for a
// browser.
type Peer struct {
	ID   string `json:"peer"`
	Type string `json:"type,omitempty"`
}

// StaticToken is an Options.Token that never changes.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// ErrClosed is what calls return after Close or Leave.
var ErrClosed = errors.New("client: closed")

// RefusedError says that the server refused the session or its end is final.
type RefusedError struct {
	Status int    // of the HTTP response, or 0
	Close  int    // the WebSocket close code, or 0
	Code   string // of the error message before the close, or ""
	Text   string // for people
}

func (e *RefusedError) Error() string {
	var s []string
	if e.Status != 0 {
		s = append(s, fmt.Sprintf("status %d", e.Status))
	}
	if e.Close != 0 {
		s = append(s, fmt.Sprintf("close code %d", e.Close))
	}
	for _, t := range []string{e.Code, e.Text} {
		if t != "" {
			s = append(s, t)
		}
	}
	return "client: refused: " + strings.Join(s, ": ")
}

// Room is a session in a room. All methods may be called by several goroutines
// at once.
type Room struct {
	opts  Options
	url   string
	codec codec
	log   *slog.Logger
	// secrets of encrypted channels, by channel
	secrets map[string]*secret

	ctx    context.Context // ends with the room
	cancel context.CancelFunc
	done   chan struct{} // closed when all goroutines but run have ended
	first  chan struct{} // closed after the first welcome
	wg     sync.WaitGroup

	mu       sync.Mutex
	err      error // why the room ended
	leaving  bool
	conn     *connection // nil while there is none
	token    string
	peer     string
	mesh     string
	identity string
	limits   limits
	peers    map[string]Peer
	out      outbox
	in       inbox
	uploads  map[uint64]*Upload
	lastID   uint64 // of the uploads
	loads    map[loadKey]*download
	finished []loadKey // downloads that ended well, the latest last
	graph    graphCalls
	place    MeshState
	rosters  map[uint64]*rosterCall // by the id of the request
}

// Dial opens a session in a room, or resumes that of opts.State. base is the
// address of the directive, as "wss://example.com/genosrtc"; http and https are
// taken as ws and wss. room is the database name.
//
// It tries until the server welcomes it, ctx ends, or the server refuses it for
// good (*RefusedError). The room's life does not depend on ctx afterwards.
func Dial(ctx context.Context, base, room string, opts Options) (*Room, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("client: address: %w", err)
	}
	r := &Room{
		opts:    opts,
		url:     strings.TrimSuffix(u.String(), "/") + "/rooms/" + url.PathEscape(room) + "/ws",
		codec:   msgpackCodec{},
		log:     opts.Logger,
		done:    make(chan struct{}),
		first:   make(chan struct{}),
		peers:   map[string]Peer{},
		uploads: map[uint64]*Upload{},
		loads:   map[loadKey]*download{},
		rosters: map[uint64]*rosterCall{},
	}
	if opts.JSON {
		r.codec = jsonCodec{}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.secrets, err = secretsOf(room, opts.Passphrases); err != nil {
		return nil, err
	}
	r.out.init()
	r.in.init()
	r.graph.init()
	if err := r.restore(opts.State); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.run()
	select {
	case <-r.first:
		return r, nil
	case <-r.done:
		return nil, r.Err()
	case <-ctx.Done():
		r.end(ctx.Err())
		<-r.done
		return nil, fmt.Errorf("client: dial %s: %w", r.url, ctx.Err())
	}
}

// Peer is the session's own peer id.
func (r *Room) Peer() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peer
}

// Mesh is the id under which browsers see this client, and Identity how:
// "session" as a peer of its own, "server" as the server's peer.
func (r *Room) Mesh() (id, identity string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mesh == "" {
		return r.peer, r.identity
	}
	return r.mesh, r.identity
}

// Peers are those that the session is connected to, as far as is known.
func (r *Room) Peers() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	peers := make([]Peer, 0, len(r.peers))
	for _, p := range r.peers {
		peers = append(peers, p)
	}
	return peers
}

// Online tells whether the session has a connection now.
func (r *Room) Online() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn != nil
}

// Done is closed when the room has ended; Err then says why.
func (r *Room) Done() <-chan struct{} { return r.done }

// Err is why the room ended, nil while it has not: ErrClosed, or a
// *RefusedError.
func (r *Room) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the room here and waits for its goroutines. What is not yet
// acknowledged may not be sent: Wait for it before. The session lives on at the
// server for limits.resume seconds: a State taken after Close resumes it.
func (r *Room) Close() error {
	r.end(ErrClosed)
	<-r.done
	return nil
}

// Leave waits until the server has all sends and knows of all transfers that are
// stored here, then ends the session itself: it cannot be resumed. When ctx ends
// before, the session lives on as after Close.
func (r *Room) Leave(ctx context.Context) error {
	defer r.Close()
	r.mu.Lock()
	last := r.out.next - 1
	r.mu.Unlock()
	if err := r.Wait(ctx, last); err != nil {
		return err
	}
	if err := r.waitDownloads(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	r.leaving = true
	if r.conn != nil {
		r.conn.post(&frame{Op: opLeave})
	}
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("client: leave %s: %w", r.url, ctx.Err())
	}
	if err := r.Err(); err != ErrClosed {
		return err
	}
	return nil
}

// end makes the room end for a reason, unless it has one already.
func (r *Room) end(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.cancel()
}

func (r *Room) notify(e Event) {
	if r.opts.Notify != nil {
		r.opts.Notify(e)
	}
}
