package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coder/websocket"
)

// handshake is how long connecting may take up to the welcome.
const handshake = 30 * time.Second

// retryError says when the server wants to be asked again.
type retryError struct {
	error
	after time.Duration
}

func (e *retryError) Unwrap() error { return e.error }

// run connects again and again until the room ends.
func (r *Room) run() {
	defer close(r.done)
	defer r.wg.Wait()
	defer r.finish()
	pause := &backoff.ExponentialBackOff{
		InitialInterval:     200 * time.Millisecond,
		RandomizationFactor: 0.5,
		Multiplier:          2,
		MaxInterval:         15 * time.Second,
	}
	pause.Reset()
	for {
		welcome, err := r.connect()
		if r.ctx.Err() != nil {
			return
		}
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			r.ended(refused)
			return
		}
		if welcome {
			pause.Reset()
		}
		wait := pause.NextBackOff()
		if retry, ok := errors.AsType[*retryError](err); ok {
			wait = max(wait, retry.after)
		}
		r.log.Info("not connected", "url", r.url, "err", err, "retry_in", wait)
		r.notify(Offline{err})
		select {
		case <-time.After(wait):
		case <-r.ctx.Done():
			return
		}
	}
}

// ended notes that the server ended the session: as was asked, or not.
func (r *Room) ended(refused *RefusedError) {
	r.mu.Lock()
	leaving := r.leaving
	r.mu.Unlock()
	if leaving && refused.Close == int(websocket.StatusNormalClosure) {
		r.end(ErrClosed)
		return
	}
	r.end(refused)
}

// finish tells everybody that the room has ended.
func (r *Room) finish() {
	r.cancel()
	err := r.Err()
	r.dropTransfers(err)
}

// connect makes a connection and stays with it until it ends. It tells whether
// it was welcome.
func (r *Room) connect() (bool, error) {
	ws, welcome, live, err := r.handshake()
	if err != nil {
		return false, err
	}
	defer live.Stop()
	defer ws.CloseNow()
	c := newConnection(r, ws, live)
	r.welcome(c, welcome)
	r.wg.Go(c.write)
	err = c.read()
	r.mu.Lock()
	r.conn = nil
	r.mu.Unlock()
	close(c.done)
	return true, err
}

// handshake opens a WebSocket and says hello. live ends the connection unless
// it is reset in time.
func (r *Room) handshake() (*websocket.Conn, *frame, *time.Timer, error) {
	ctx, cancel := context.WithTimeout(r.ctx, handshake)
	defer cancel()
	var live *time.Timer
	ws, response, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{
		HTTPClient:   r.opts.HTTPClient,
		HTTPHeader:   r.opts.Header,
		Subprotocols: []string{r.codec.subprotocol()},
		OnPingReceived: func(context.Context, []byte) bool {
			live.Reset(silence)
			return true
		},
	})
	if err != nil {
		return nil, nil, nil, r.refusal(response, fmt.Errorf("client: %s: %w", r.url, err))
	}
	live = time.AfterFunc(silence, func() { ws.CloseNow() })
	f, err := r.hello(ctx, ws)
	if err != nil {
		live.Stop()
		ws.CloseNow()
		return nil, nil, nil, err
	}
	return ws, f, live, nil
}

// refusal is what a failed handshake means. Before the first welcome a status
// that says that the request is wrong is final; later it may be a server that
// is being reconfigured.
func (r *Room) refusal(response *http.Response, err error) error {
	if response == nil {
		return err
	}
	status := response.StatusCode
	if seconds, e := strconv.Atoi(response.Header.Get("Retry-After")); e == nil {
		return &retryError{err, min(time.Duration(seconds)*time.Second, time.Minute)}
	}
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests && !r.welcomed() {
		return &RefusedError{Status: status, Text: err.Error()}
	}
	return err
}

func (r *Room) welcomed() bool {
	select {
	case <-r.first:
		return true
	default:
		return false
	}
}

// hello asks for a session and returns the welcome.
func (r *Room) hello(ctx context.Context, ws *websocket.Conn) (*frame, error) {
	if got := ws.Subprotocol(); got != r.codec.subprotocol() {
		return nil, fmt.Errorf("client: %s: the server speaks %q", r.url, got)
	}
	ws.SetReadLimit(readLimit)
	var token string
	if r.opts.Token != nil {
		var err error
		if token, err = r.opts.Token(ctx); err != nil {
			return nil, fmt.Errorf("client: token: %w", err)
		}
	}
	r.mu.Lock()
	f := &frame{Op: opHello, Token: token, Password: r.opts.Password, Resume: r.token, Ack: r.in.taken, History: history(r.opts.History)}
	r.in.acked = r.in.taken
	r.mu.Unlock()
	raw, err := r.codec.encode(f)
	if err != nil {
		return nil, fmt.Errorf("client: hello: %w", err)
	}
	if err := ws.Write(ctx, r.codec.messageType(), raw); err != nil {
		return nil, fmt.Errorf("client: hello: %w", err)
	}
	var told *frame
	for {
		_, raw, err := ws.Read(ctx)
		if err != nil {
			return nil, ending(err, told)
		}
		f, err := r.codec.decode(raw)
		if err != nil {
			return nil, err
		}
		switch f.Op {
		case opWelcome:
			return f, nil
		case opError:
			told = f
		}
	}
}

// welcome takes over what a welcome says, and makes c the room's connection.
func (r *Room) welcome(c *connection, f *frame) {
	events := []Event{Resumed{}}
	var lost bool
	r.mu.Lock()
	if !f.Resumed {
		events = []Event{Joined{f.Peer}}
		if lost = r.token != ""; lost {
			events = []Event{r.lost(f), Joined{f.Peer}}
		}
	}
	ids := r.ids()
	r.token, r.peer, r.mesh, r.identity = f.Resume, f.Peer, f.Mesh, f.Identity
	if !slices.Equal(ids, r.ids()) {
		r.reseal()
	}
	if f.Limits != nil {
		r.limits = *f.Limits
	}
	r.peers = map[string]Peer{}
	for _, p := range f.Peers {
		r.peers[p.ID] = p
	}
	r.place = MeshState{} // it is told anew
	r.out.written = 0
	r.out.ack(f.Ack)
	r.mu.Unlock()
	if lost {
		r.dropTransfers(ErrLost)
	}
	for _, e := range events {
		r.notify(e)
	}
	r.mu.Lock()
	r.conn = c
	if r.leaving {
		// The pong comes after what the server asks of transfers: one whose end
		// was lost with the last connection is ended before we leave.
		c.post(&frame{Op: opPing, ID: new(uint64)})
	}
	for _, u := range r.uploads {
		signal(u.wake)
	}
	r.graphAgain()
	r.rostersAgain()
	r.mu.Unlock()
	if !r.welcomed() {
		close(r.first)
	}
}

// lost begins a new session in the place of one that the server does not know
// any more. Needs r.mu.
func (r *Room) lost(f *frame) Lost {
	l := Lost{Reason: f.Reason}
	for _, p := range r.out.waiting {
		if p.seq > r.out.ever {
			break
		}
		if l.First == 0 {
			l.First = p.seq
		}
		l.Last = p.seq
	}
	r.in.restart()
	return l
}

// handle does what a message of the server says.
func (r *Room) handle(c *connection, f *frame, size int) {
	switch f.Op {
	case opMessage:
		if err := r.deliver(c, f, size); err != nil {
			r.notify(Unreadable{f.Seq, f.Channel, f.From, err})
		}
	case opAck:
		if f.Transfer != 0 {
			r.uploadAcked(f)
			return
		}
		r.mu.Lock()
		r.out.ack(f.Seq)
		r.mu.Unlock()
	case opPong:
		r.mu.Lock()
		if r.leaving {
			c.post(&frame{Op: opLeave})
		}
		r.mu.Unlock()
	case opPing:
		c.post(&frame{Op: opPong, ID: f.ID})
	case opPeer:
		r.mu.Lock()
		switch f.Event {
		case "join":
			r.peers[f.Peer] = Peer{f.Peer, f.Type}
		case "leave":
			delete(r.peers, f.Peer)
		}
		r.mu.Unlock()
		if f.Event == "leave" {
			r.dropDownloads(f.Peer, &CancelledError{"gone"})
		}
		r.notify(PeerEvent{f.Event, Peer{f.Peer, f.Type}})
	case opResult:
		r.notify(Result{f.Seq, f.Transfer, f.Peer, f.Error, f.Text})
		r.uploadResult(f)
	case opProgress:
		r.notify(Progress{Seq: f.Seq, Transfer: f.Transfer, Channel: f.Channel, Peer: f.Peer, Meta: f.meta(), Fraction: f.Fraction})
	case opMesh:
		r.meshFrame(f)
	case opNode, opWatch:
		r.graphFrame(f, size)
	case opError:
		if r.graphFrame(f, size) || r.rosterFrame(f) {
			return
		}
		r.log.Warn("the server refused", "code", f.Code, "text", f.Text, "seq", f.Seq, "transfer", f.Transfer)
		r.notify(Refused{f.Seq, f.Transfer, f.From, f.Code, f.Text})
		if f.Transfer != 0 && f.From == "" {
			r.uploadRefused(f)
		}
	case opBegin, opEnd, opChunk, opCancel:
		if f.From != "" {
			r.downloadFrame(c, f)
		} else {
			r.uploadFrame(f)
		}
	}
}
