package relay

import "errors"

// Transport is one client's connection: messages in, batches of messages out.
// Package handler implements it on WebSockets. Read and Write are called from
// one goroutine each, Close from that of Write, Abort from anywhere.
type Transport interface {
	// Read waits for the next text message. Its bytes are valid until the next
	// call. ErrBinary means that a message was skipped; every other error is the
	// last thing that Read returns, ErrTooLarge among them.
	Read() ([]byte, error)
	// Write sends messages in order, and keeps neither them nor the slice.
	Write(batch []Message) error
	// Close tells the client why the connection ends (code and reason as in
	// RFC 6455, section 7.4), and ends it. It waits for the client within a bound
	// of its own.
	Close(code int, reason string)
	// Abort ends the connection at once, without a word: the other methods
	// return. It does not block.
	Abort()
}

// Message is one text message to a client: Head followed by Tail. Head belongs
// to a subscription and Tail is shared by everybody who gets the same event, so
// that nothing is copied before the socket's own buffer.
type Message struct {
	Head, Tail []byte
}

// Errors of Transport.Read that the relay answers.
var (
	ErrBinary   = errors.New("binary message")
	ErrTooLarge = errors.New("message too large")
)

// Close codes (RFC 6455, section 7.4.1).
const (
	CloseGoingAway = 1001 // the server stops
	ClosePolicy    = 1008 // too much junk
	CloseTooLarge  = 1009 // a message above Limits.Message
	CloseTryLater  = 1013 // the client reads too slowly
)
