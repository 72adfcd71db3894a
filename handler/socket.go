package handler

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/session"
)

const (
	// keptBuffer is the size from which on memory is not kept for the next
	// messages.
	keptBuffer = 64 << 10
	// copied is the length up to which messages are put together; a longer one
	// is written from where it is.
	copied = 4 << 10
)

// socket is a session.Conn on a WebSocket. The library does the handshake,
// reads, and answers pings and closes; messages are framed here, so that many
// are one write.
type socket struct {
	ws   *websocket.Conn
	conn *conn

	in      *bytes.Buffer // holds the message that was read last
	over    chan struct{} // closed when nothing more can be read
	reading atomic.Bool
}

// output is a write: small messages put together, and large ones between them.
// A socket that writes nothing has none.
type output struct {
	small  []byte
	pieces net.Buffers
}

var outputs = sync.Pool{New: func() any { return new(output) }}

// inputs are the buffers that messages are read into. They grow with the
// messages, so that not every large one grows one anew; a socket that waits for
// a message has none.
var inputs = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var subprotocols = func() (names []string) {
	for _, c := range session.Codecs {
		names = append(names, c.Subprotocol())
	}
	return names
}()

// accept does the handshake of a request that is one. On an error the request
// was answered.
func accept(w http.ResponseWriter, r *http.Request) (*socket, error) {
	h := &connHijacker{ResponseWriter: w}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols:       subprotocols,
		InsecureSkipVerify: true, // settings.allows has judged the origin
	})
	if err != nil {
		return nil, err
	}
	return &socket{ws: ws, conn: h.conn, over: make(chan struct{})}, nil
}

// codec is the one that was agreed on; JSON if the client named none.
func (s *socket) codec() session.Codec {
	for _, c := range session.Codecs {
		if strings.EqualFold(c.Subprotocol(), s.ws.Subprotocol()) {
			return c
		}
	}
	return session.JSON
}

// Read implements session.Conn.
func (s *socket) Read() ([]byte, bool, error) {
	s.reading.Store(true)
	defer s.reading.Store(false)
	if s.in != nil {
		inputs.Put(s.in)
		s.in = nil
	}
	kind, r, err := s.ws.Reader(context.Background())
	if err == nil {
		s.in = inputs.Get().(*bytes.Buffer)
		s.in.Reset()
		_, err = s.in.ReadFrom(r)
	}
	if err != nil {
		close(s.over)
		return nil, false, err
	}
	return s.in.Bytes(), kind == websocket.MessageBinary, nil
}

// Write implements session.Conn.
func (s *socket) Write(messages [][]byte, binary bool, deadline time.Time) error {
	opcode := byte(opText)
	if binary {
		opcode = opBinary
	}
	kept := outputs.Get().(*output)
	defer outputs.Put(kept)
	bufs, b, start := kept.pieces[:0], kept.small[:0], 0
	for _, m := range messages {
		b = appendHeader(b, opcode, len(m))
		if len(m) <= copied {
			b = append(b, m...)
			continue
		}
		bufs = append(bufs, b[start:], m)
		start = len(b)
	}
	bufs = append(bufs, b[start:])
	if cap(b) <= keptBuffer {
		kept.small = b
	}
	err := s.conn.writeFrames(bufs, deadline)
	clear(bufs)
	kept.pieces = bufs
	return err
}

// Close implements session.Conn.
func (s *socket) Close(code int, reason string) { s.conn.farewell(code, reason, s.over) }

// abort ends the connection without farewell.
func (s *socket) abort() { _ = s.conn.Conn.Close() }

// silentSince tells whether nothing at all came. A pong may be late behind a
// large message, on its way in either direction; and while the session is busy
// nobody reads it.
func (s *socket) silentSince(t time.Time) bool {
	return s.reading.Load() && !s.conn.writing() && s.conn.lastRead.Load() < t.UnixNano()
}
