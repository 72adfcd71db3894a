package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/internal/retry"
)

const (
	dialTimeout  = 15 * time.Second
	writeTimeout = 10 * time.Second
	// A socket whose peer is gone is noticed within pingInterval and
	// pongTimeout.
	pingInterval = 25 * time.Second
	pongTimeout  = 10 * time.Second
	// steadyAfter is how long a socket must have lived for the next delay to be
	// short again.
	steadyAfter = 30 * time.Second
	// removeTimeout bounds the farewell to a relay that is taken out.
	removeTimeout = 3 * time.Second
)

// client keeps one socket to one remote relay, for all rooms.
type client struct {
	record
	url  string
	pool *Pool
	log  *slog.Logger
	http *http.Client
	out  *outbox

	// hard ends everything at once; soft, its child, lets what is queued go out
	// first.
	hard, soft context.Context
	kill, stop context.CancelFunc
	done       chan struct{}

	mu   sync.Mutex
	subs map[string]*subscription // by subscription id; of the present socket
	pace pace
}

// subscription is one room's REQ on the present socket.
type subscription struct {
	room  *room
	asked time.Time // when REQ was sent
	live  bool      // EOSE has come: from here events are new
	retry time.Time // not zero: the relay closed it, and will be asked again
}

func newClient(p *Pool, url string) *client {
	c := &client{
		url:  url,
		pool: p,
		log:  p.log.With("relay", url),
		http: p.http,
		out:  newOutbox(),
		done: make(chan struct{}),
	}
	c.status.URL = url
	c.hard, c.kill = context.WithCancel(p.ctx)
	c.soft, c.stop = context.WithCancel(c.hard)
	return c
}

// run owns the relay: it connects, and connects again, until it is stopped or
// the relay demands what we do not give.
func (c *client) run() {
	defer close(c.done)
	defer c.kill()
	var delays retry.Delays
	// What was logged since the last steady socket: an outage is told once, and
	// so is its end, however often we try.
	var up, down bool
	for {
		c.enter(Connecting)
		conn, err := c.dial()
		if err == nil {
			opened := time.Now()
			c.logOnce(&up, slog.LevelInfo, "connected to relay")
			err = c.serve(conn)
			if time.Since(opened) >= steadyAfter {
				delays.Reset()
				up, down = false, false
			}
		}
		if c.soft.Err() != nil {
			c.enter(Closed)
			return
		}
		if d, ok := errors.AsType[demand](err); ok {
			c.pool.leave(c, d)
			return
		}
		delay := delays.Next(rand.Float64)
		c.complain(err.Error())
		c.enter(Waiting)
		c.logOnce(&down, slog.LevelWarn, "no connection to relay", "error", err, "retry_in", delay)
		select {
		case <-time.After(delay):
		case <-c.soft.Done():
		}
	}
}

// logOnce logs repetitions for debugging only.
func (c *client) logOnce(done *bool, level slog.Level, message string, args ...any) {
	if *done {
		level = slog.LevelDebug
	}
	*done = true
	c.log.Log(c.soft, level, message, args...)
}

func (c *client) dial() (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(c.soft, dialTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, c.url, &websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		if resp != nil {
			if d, ok := demandOfStatus(resp.StatusCode); ok {
				return nil, d
			}
		}
		return nil, fmt.Errorf("connecting to relay: %w", err)
	}
	return conn, nil
}

// serve uses a socket until it fails, with the reason, or until c.soft ends and
// everything is sent.
func (c *client) serve(conn *websocket.Conn) error {
	c.count(func(n *Counters) { n.Connects++ })
	c.mu.Lock()
	c.subs = make(map[string]*subscription)
	c.mu.Unlock()
	c.out.connect()
	c.enter(Connected)
	for _, r := range c.pool.openRooms() {
		c.out.refresh(r)
		r.introduce(c.url)
	}

	ctx, fail := context.WithCancelCause(c.hard)
	var tasks sync.WaitGroup
	tasks.Go(func() { fail(c.read(ctx, conn)) })
	tasks.Go(func() { fail(c.ping(ctx, conn)) })
	err := c.write(ctx, conn)
	if err != nil {
		fail(err)
	}
	lost := c.out.disconnect()
	c.count(func(n *Counters) { n.Lost += uint64(lost) })
	if err == nil {
		conn.Close(websocket.StatusGoingAway, "")
	}
	fail(nil)
	conn.CloseNow()
	tasks.Wait()
	return context.Cause(ctx)
}

// ping notices a socket whose other end is gone without a word.
func (c *client) ping(ctx context.Context, conn *websocket.Conn) error {
	ticks := time.NewTicker(pingInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
		pong, cancel := context.WithTimeout(ctx, pongTimeout)
		err := conn.Ping(pong)
		cancel()
		if err != nil {
			return fmt.Errorf("relay does not answer: %w", err)
		}
	}
}

// hears counts a remote relay as an audience while it is connected: whom it
// serves is not known.
func (c *client) hears(string) bool { return c.out.connected() }

func (c *client) post(m outgoing) {
	if c.out.post(m) {
		c.count(func(n *Counters) { n.Lost++ })
	}
}

func (c *client) refresh(r *room) { c.out.refresh(r) }

// finish lets the client send what is queued and end; c.done tells when.
func (c *client) finish() { c.stop() }
