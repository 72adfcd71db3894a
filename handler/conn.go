package handler

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// conn is a hijacked connection below the WebSocket library, which writes
// nothing to it but control frames, each in one piece; our messages go past
// the library by writeFrames. A control frame never waits for messages, which
// may take long: the library would end the connection after 5 s.
type conn struct {
	net.Conn
	lastRead atomic.Int64 // Unix nanoseconds

	// Of who reads.
	early  []byte // read, but not asked for yet
	buffer *[aheadSize]byte
	more   bool // the last read filled its buffer: more is there, as a rule

	mu       sync.Mutex
	idle     sync.Cond // busy became false
	busy     bool      // somebody writes
	control  []byte    // frames to write next
	deadline time.Time // for writes, as it is set; of who is busy
	closing  bool      // after the close frame nothing may follow (RFC 6455, section 5.5.1)
	err      error     // of the first write that failed
}

const (
	// maxFrame is the greatest control frame: a header of 2 bytes and 125.
	maxFrame = 127
	// maxControl bounds the control frames that wait. Pongs beyond it are not
	// sent: RFC 6455, section 5.5.3, wants only the last.
	maxControl = 8 * maxFrame
	// controlTime bounds the writing of control frames.
	controlTime = 10 * time.Second
	// deadlineSlack is how much longer than it should a write may take.
	deadlineSlack = 2 * time.Second
	// farewellTime is what a client has to take a close frame. Data that it
	// sends meanwhile stays unread, and would destroy the frame on its way.
	farewellTime = time.Second

	opText    = 0x81 // with the bit of a final frame
	opBinary  = 0x82
	opPing    = 0x89
	opClosing = 0x88
)

// wrapped tells whether the connection is another than a listener's own, as
// where Caddy counts its bytes for the access log.
func (c *conn) wrapped() bool {
	switch c.Conn.(type) {
	case *net.TCPConn, *net.UnixConn, *tls.Conn:
		return false
	}
	return true
}

// ahead are buffers for reading more than was asked for. A connection has one
// only while data comes faster than the library's small buffer takes it, so that
// one that waits holds little memory.
var ahead = sync.Pool{New: func() any { return new([aheadSize]byte) }}

const (
	aheadSize = 4 << 10
	// readSize is the size of the library's buffer. Small messages come in one
	// read.
	readSize = 512
)

// Read notes that the client lives.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		if len(c.early) == 0 {
			c.returnBuffer()
		}
		return n, nil
	}
	into := b
	if c.more && len(b) < aheadSize {
		c.buffer = ahead.Get().(*[aheadSize]byte)
		into = c.buffer[:]
	}
	n, err := c.Conn.Read(into)
	if n > 0 {
		c.lastRead.Store(time.Now().UnixNano())
	}
	c.more = n == len(into)
	if c.buffer == nil {
		return n, err
	}
	taken := copy(b, into[:n])
	if c.early = into[taken:n]; len(c.early) == 0 {
		c.returnBuffer()
	}
	return taken, err
}

func (c *conn) returnBuffer() {
	if c.buffer != nil {
		ahead.Put(c.buffer)
		c.buffer = nil
	}
}

// Write takes a control frame.
func (c *conn) Write(frame []byte) (int, error) {
	c.mu.Lock()
	if c.closing {
		defer c.mu.Unlock()
		return len(frame), c.err
	}
	if len(c.control)+len(frame) <= maxControl || frame[0] == opClosing {
		c.control = append(c.control, frame...)
	}
	c.closing = c.closing || frame[0] == opClosing
	if c.busy {
		defer c.mu.Unlock()
		// Who writes, writes it. A close frame is waited for, since the
		// library closes the connection as soon as it believes it written.
		for c.busy && frame[0] == opClosing {
			c.idle.Wait()
		}
		return len(frame), c.err
	}
	c.busy = true
	c.mu.Unlock()
	if err := c.finish(nil); err != nil {
		return 0, err
	}
	return len(frame), nil
}

// writeFrames writes messages, which are framed already, until a deadline if
// that is not zero. After an error the connection is of no use.
func (c *conn) writeFrames(frames net.Buffers, deadline time.Time) error {
	c.mu.Lock()
	for c.busy {
		c.idle.Wait()
	}
	if c.closing || c.err != nil {
		defer c.mu.Unlock()
		return errors.Join(c.err, net.ErrClosed)
	}
	c.busy = true
	c.mu.Unlock()
	err := c.limit(deadline)
	switch {
	case err != nil:
	case len(frames) == 1:
		_, err = c.Conn.Write(frames[0])
	default:
		rest := frames // it is consumed
		_, err = rest.WriteTo(c.Conn)
	}
	return c.finish(err)
}

// limit sets the deadline for the next write. One that is up to deadlineSlack
// late stays: to set it costs more than a small write should.
func (c *conn) limit(deadline time.Time) error {
	if deadline.IsZero() == c.deadline.IsZero() {
		if late := c.deadline.Sub(deadline); late >= 0 && late <= deadlineSlack {
			return nil
		}
	}
	if !deadline.IsZero() {
		deadline = deadline.Add(deadlineSlack)
	}
	c.deadline = deadline
	return c.SetWriteDeadline(deadline)
}

// finish writes the control frames that wait, after a write that may have
// failed, and lets others write.
func (c *conn) finish(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for err == nil && len(c.control) > 0 {
		frames := c.control
		c.control = nil
		c.mu.Unlock()
		if err = c.limit(time.Now().Add(controlTime)); err == nil {
			_, err = c.Conn.Write(frames)
		}
		c.mu.Lock()
	}
	if c.err == nil {
		c.err = err
	}
	c.busy = false
	c.idle.Broadcast()
	return err
}

// farewell tells the client why the connection ends (RFC 6455, section 7.4),
// gives it a moment to take that, which ends early when its answer was read, and
// closes. The library would read on for 5 s, whatever the client still sends.
func (c *conn) farewell(code int, reason string, answered <-chan struct{}) {
	for len(reason) > maxFrame-4 || !utf8.ValidString(reason) {
		reason = reason[:len(reason)-1]
	}
	frame := append(appendHeader(nil, opClosing, 2+len(reason)), byte(code>>8), byte(code))
	if _, err := c.Write(append(frame, reason...)); err == nil {
		select {
		case <-answered:
		case <-time.After(farewellTime):
		}
	}
	// An error is the client's going away.
	_ = c.Conn.Close()
}

func (c *conn) writing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

// appendHeader appends the header of an unmasked frame that is a whole message
// (RFC 6455, section 5.2).
func appendHeader(b []byte, opcode byte, length int) []byte {
	b = append(b, opcode)
	switch {
	case length < 126:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
}

// connHijacker puts a conn under the library.
type connHijacker struct {
	http.ResponseWriter
	conn *conn
}

// Hijack implements http.Hijacker.
func (h *connHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	raw, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := rw.Flush(); err != nil {
		return nil, nil, errors.Join(err, raw.Close())
	}
	// The buffers of net/http are larger, and would be held as long as the
	// session.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	h.conn = &conn{Conn: raw, early: bytes.Clone(early)}
	h.conn.idle.L = &h.conn.mu
	h.conn.lastRead.Store(time.Now().UnixNano())
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, readSize), bufio.NewWriterSize(h.conn, maxFrame+1)), nil
}
