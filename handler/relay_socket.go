package handler

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

const (
	relayPingEvery  = 25 * time.Second
	relayPongWithin = 20 * time.Second
)

// relaySocket is a relay.Transport on a WebSocket. The library does the
// handshake, reads, and answers pings and closes; the messages that we send are
// framed here, so that a whole batch is one write to the socket: the library
// would make it one for each message.
type relaySocket struct {
	ws      *websocket.Conn
	conn    *conn
	buffers *relayBuffers
	message *[]byte       // lent to the reader of the last message
	over    chan struct{} // closed when nothing more can be read

	mu      sync.Mutex
	ping    *time.Timer
	pinging chan struct{} // closed when the ping under way is over; nil if none is
	ended   bool
}

func newRelaySocket(ws *websocket.Conn, conn *conn, buffers *relayBuffers) *relaySocket {
	ws.SetReadLimit(-1) // Read has its own, which the relay can answer
	s := &relaySocket{ws: ws, conn: conn, buffers: buffers, over: make(chan struct{})}
	s.mu.Lock() // checkAlive sees ping
	defer s.mu.Unlock()
	s.ping = time.AfterFunc(relayPingEvery, s.checkAlive)
	return s
}

// Read implements relay.Transport.
func (s *relaySocket) Read() ([]byte, error) {
	if s.message != nil {
		s.buffers.Put(s.message)
		s.message = nil
	}
	kind, r, err := s.ws.Reader(context.Background())
	if err != nil {
		close(s.over)
		return nil, err
	}
	s.message = s.buffers.Get().(*[]byte)
	buf, n := *s.message, 0
	for err == nil && n < len(buf) {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	switch {
	case n == len(buf):
		return nil, relay.ErrTooLarge
	case !errors.Is(err, io.EOF):
		close(s.over)
		return nil, err
	case kind != websocket.MessageText:
		return nil, relay.ErrBinary
	}
	return buf[:n], nil
}

// Write implements relay.Transport.
func (s *relaySocket) Write(batch []relay.Message) error {
	buf := batchBuffers.Get().(*[]byte)
	b := (*buf)[:0]
	for _, m := range batch {
		b = appendHeader(b, opText, len(m.Head)+len(m.Tail))
		b = append(b, m.Head...)
		b = append(b, m.Tail...)
	}
	err := s.conn.writeFrames(net.Buffers{b}, time.Time{}) // the relay watches the time
	*buf = b
	batchBuffers.Put(buf)
	return err
}

// Close implements relay.Transport.
func (s *relaySocket) Close(code int, reason string) { s.conn.farewell(code, reason, s.over) }

// Abort implements relay.Transport.
func (s *relaySocket) Abort() { _ = s.conn.Conn.Close() }

// end frees what is left when nobody uses the socket any more, and waits for a
// ping under way.
func (s *relaySocket) end() {
	_ = s.ws.CloseNow() // the ping returns
	s.mu.Lock()
	s.ended = true
	s.ping.Stop()
	pinging := s.pinging
	s.mu.Unlock()
	if pinging != nil {
		<-pinging
	}
}

// checkAlive ends a socket whose client gives no sign of life after a ping. The
// pong itself may be late, behind messages that are read slowly as they are too
// many. A timer costs an idle socket less than a goroutine.
func (s *relaySocket) checkAlive() {
	over := make(chan struct{})
	defer close(over)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.pinging = over
	s.mu.Unlock()

	asked := time.Now().UnixNano()
	ctx, cancel := context.WithTimeout(context.Background(), relayPongWithin)
	defer cancel()
	alive := s.ws.Ping(ctx) == nil || s.conn.lastRead.Load() >= asked
	if !alive {
		s.Abort()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinging = nil
	if alive && !s.ended {
		s.ping.Reset(relayPingEvery)
	}
}

// batchBuffers has the buffers in which batches are put together.
var batchBuffers = sync.Pool{New: func() any { return new([]byte) }}

// relayBuffers has buffers of one byte more than a message may have.
type relayBuffers struct{ sync.Pool }

func newRelayBuffers(limit int) *relayBuffers {
	return &relayBuffers{sync.Pool{New: func() any {
		b := make([]byte, limit+1)
		return &b
	}}}
}
