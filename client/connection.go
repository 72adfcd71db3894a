package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// silence is how long nothing at all may come: the server pings every 20 s.
	silence = 50 * time.Second
	// readLimit is the largest WebSocket message that is read.
	readLimit = 64 << 20
	// controls is how many answers may wait to be written. More are due only
	// when the server asks faster than it reads.
	controls = 4096
)

// connection is one WebSocket of a room, after its welcome.
type connection struct {
	room *Room
	ws   *websocket.Conn
	done chan struct{} // closed when it ended
	wake chan struct{} // has a token when there is something to write
	bulk chan []byte   // messages of transfers
	live *time.Timer   // ends the connection after silence

	mu      sync.Mutex
	control [][]byte
}

func newConnection(r *Room, ws *websocket.Conn, live *time.Timer) *connection {
	return &connection{room: r, ws: ws, done: make(chan struct{}), wake: make(chan struct{}, 1), bulk: make(chan []byte), live: live}
}

// poke wakes the writer.
func (c *connection) poke() { signal(c.wake) }

// post queues an answer. It never waits.
func (c *connection) post(f *frame) {
	raw, err := c.room.codec.encode(f)
	if err != nil {
		c.room.log.Error("a message could not be encoded", "op", f.Op, "err", err)
		return
	}
	c.queue(raw)
}

// queue queues a message before all sends. It never waits.
func (c *connection) queue(raw []byte) {
	c.mu.Lock()
	full := len(c.control) >= controls
	if !full {
		c.control = append(c.control, raw)
	}
	c.mu.Unlock()
	if full {
		c.room.log.Warn("the server asks faster than it reads; connecting again", "answers", controls)
		go c.ws.CloseNow()
		return
	}
	c.poke()
}

// send writes a message of a transfer in its turn. It returns when the writer
// has it, or the connection ended.
func (c *connection) send(ctx context.Context, f *frame) {
	raw, err := c.room.codec.encode(f)
	if err != nil {
		c.room.log.Error("a message could not be encoded", "op", f.Op, "err", err)
		return
	}
	select {
	case c.bulk <- raw:
	case <-c.done:
	case <-ctx.Done():
	}
}

// next is the next message to write besides those of transfers: answers and requests, then
// the acknowledgement, then sends. Without any, wait is when the
// acknowledgement is due, or negative.
func (c *connection) next() (raw []byte, wait time.Duration) {
	c.mu.Lock()
	if len(c.control) > 0 {
		raw, c.control = c.control[0], c.control[1:]
	}
	c.mu.Unlock()
	if raw != nil {
		return raw, 0
	}
	r := c.room
	r.mu.Lock()
	defer r.mu.Unlock()
	seq, wait := r.in.ack()
	if seq > 0 {
		raw, err := r.codec.encode(&frame{Op: opAck, Seq: seq})
		if err != nil {
			r.log.Error("an acknowledgement could not be encoded", "err", err)
		}
		return raw, 0
	}
	return r.out.take(), wait
}

// write writes until the connection ends. A message of a transfer follows each
// other message, so that neither waits for all of the other kind.
func (c *connection) write() {
	for {
		raw, wait := c.next()
		if raw != nil {
			if !c.put(raw) {
				return
			}
			select {
			case raw := <-c.bulk:
				if !c.put(raw) {
					return
				}
			default:
			}
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case raw := <-c.bulk:
			if !c.put(raw) {
				return
			}
		case <-c.wake:
		case <-due:
		case <-c.done:
			return
		}
	}
}

func (c *connection) put(raw []byte) bool {
	if err := c.ws.Write(c.room.ctx, c.room.codec.messageType(), raw); err != nil {
		c.ws.CloseNow() // the reader has the better error
		return false
	}
	return true
}

// read handles what comes until the connection ends, and says why it did.
func (c *connection) read() error {
	var told *frame // the last error message: the close code may be its consequence
	for {
		_, raw, err := c.ws.Read(c.room.ctx)
		if err != nil {
			return ending(err, told)
		}
		c.live.Reset(silence)
		f, err := c.room.codec.decode(raw)
		if err != nil {
			return err
		}
		if f.Op == opError {
			told = f
		}
		c.room.handle(c, f, len(raw))
	}
}

// ending is what the end of a connection means: a *RefusedError if the session
// ended with it.
func ending(err error, told *frame) error {
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return fmt.Errorf("client: connection: %w", err)
	}
	switch closed.Code {
	case websocket.StatusNormalClosure, websocket.StatusProtocolError, websocket.StatusUnsupportedData, websocket.StatusPolicyViolation, 4000:
		refused := &RefusedError{Close: int(closed.Code), Text: closed.Reason}
		if told != nil {
			refused.Code, refused.Text = told.Code, told.Text
		}
		return refused
	}
	return fmt.Errorf("client: connection: %w", err)
}
