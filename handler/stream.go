package handler

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// stream writes Server-Sent Events (WHATWG HTML, "Server-sent events") to a
// response, of any version of HTTP. What is appended goes out with flush.
type stream struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf []byte

	mu    sync.Mutex
	until time.Time // not zero: no write may take longer
	ended bool      // the response must not be touched any more
}

// streamPiece is what is written at once, if one event is not larger.
const streamPiece = 64 << 10

// newStream begins the response.
func newStream(w http.ResponseWriter, r *http.Request) *stream {
	streamHeader(w.Header())
	if r.ProtoMajor == 1 {
		// The deadline of the last write stays with the connection.
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, rc: http.NewResponseController(w)}
}

func streamHeader(header http.Header) {
	header.Set("Content-Type", "text/event-stream")
	// No proxy is to keep events back, be it to compress them.
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
}

// event appends an event. Without a kind it is a `message`; an id of 0 leaves the
// reader's last one as it is.
func (s *stream) event(kind string, id uint64, data []byte) {
	if kind != "" {
		s.buf = append(append(append(s.buf, "event: "...), kind...), '\n')
	}
	s.position(id)
	for {
		line, rest, more := cutLine(data)
		s.buf = append(append(append(s.buf, "data: "...), line...), '\n')
		if !more {
			break
		}
		data = rest
	}
	s.buf = append(s.buf, '\n')
}

func (s *stream) position(id uint64) {
	if id != 0 {
		s.buf = append(strconv.AppendUint(append(s.buf, "id: "...), id, 10), '\n')
	}
}

// cutLine cuts text at the first end of a line, of which the standard knows three.
// Readers put a line feed between the pieces, which JSON takes for the same.
func cutLine(text []byte) (line, rest []byte, more bool) {
	i := bytes.IndexAny(text, "\r\n")
	if i < 0 {
		return text, nil, false
	}
	rest = text[i+1:]
	if text[i] == '\r' {
		rest = bytes.TrimPrefix(rest, []byte("\n"))
	}
	return text[:i], rest, true
}

// retry appends how long a reader is to wait before it connects again.
func (s *stream) retry(d time.Duration) {
	s.buf = append(strconv.AppendInt(append(s.buf, "retry: "...), d.Milliseconds(), 10), '\n')
}

// comment appends what is for people, or for proxies that count silence.
func (s *stream) comment(text string) {
	s.buf = append(append(append(s.buf, ": "...), text...), "\n\n"...)
}

// heartbeat appends a sign of life, and where the reader is: an event without data
// moves its last event id and nothing else.
func (s *stream) heartbeat(id uint64) {
	s.buf = append(s.buf, ":\n"...)
	s.position(id)
	s.buf = append(s.buf, '\n')
}

// flush sends what was appended. After an error the stream is of no use.
func (s *stream) flush() error {
	if err := s.limit(); err != nil {
		return err
	}
	_, err := s.w.Write(s.buf)
	if s.buf = s.buf[:0]; cap(s.buf) > 2*streamPiece {
		s.buf = nil
	}
	if err := errors.Join(err, s.rc.Flush()); err != nil {
		return err
	}
	return s.unlimit()
}

// flushPiece sends what was appended if that is much.
func (s *stream) flushPiece() error {
	if len(s.buf) < streamPiece {
		return nil
	}
	return s.flush()
}

// unlimit takes the deadline away. HTTP/2 ends a stream at it, though nobody writes.
func (s *stream) unlimit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() {
		return nil
	}
	return s.deadline(time.Time{})
}

// end is the last use of the response. It bounds what the server itself writes then.
func (s *stream) end() {
	_ = s.limit() // the connection may be closed
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// limit sets the deadline for the next write.
func (s *stream) limit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	deadline := time.Now().Add(session.Patience(len(s.buf)))
	if !s.until.IsZero() && s.until.Before(deadline) {
		deadline = s.until
	}
	return s.deadline(deadline)
}

// hurry bounds the write under way and all that follow. It may be called beside the
// other methods.
func (s *stream) hurry(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.until = time.Now().Add(d)
	// What handlers put around a response need not bear this beside a write.
	// An error is that of a connection which is closed, or knows no deadlines.
	_ = http.NewResponseController(innermost(s.w)).SetWriteDeadline(s.until)
}

// innermost is the server's own half of a response.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// deadline is not possible everywhere; then the server's own timeouts hold.
func (s *stream) deadline(t time.Time) error {
	if err := s.rc.SetWriteDeadline(t); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
