package engine

import (
	"context"
	"time"
)

// Transport makes links. The server's is package rtc (WebRTC over pion); tests
// and simulations use package memnet. Session descriptions are opaque to the
// engine.
type Transport interface {
	// Answer takes up a remote peer's offer. The link is not open yet: the
	// handler hears of it. On error the handler is never called.
	Answer(ctx context.Context, offer string, h LinkHandler) (Link, string, error)
	// Offer prepares a link that opens once Accept was given the answer.
	Offer(ctx context.Context, h LinkHandler) (Link, string, error)
}

// Link is a live connection between a hosted peer and a remote peer: frames in
// order, each exactly once, while it lives.
type Link interface {
	// Accept gives an offered link its answer.
	Accept(ctx context.Context, answer string) error
	// Send writes one frame. It never blocks: the caller watches Buffered.
	// The link does not keep b.
	Send(b []byte) error
	// Buffered is the number of bytes that Send took and that the other end has
	// not acknowledged. After the end of the link it stays what it was.
	Buffered() int
	// RoundTrip is how long a packet went there and back when that was measured
	// last; 0 if it never was.
	RoundTrip() time.Duration
	// WakeAt sets the threshold for LinkHandler.LinkWritable, 0 or more. It does
	// not look at what is buffered already.
	WakeAt(buffered int)
	// Renegotiate answers a description that the remote peer sent over the
	// link itself, for example because it adds media.
	Renegotiate(ctx context.Context, offer string) (answer string, err error)
	// Close ends the link at once and frees its resources. It does not wait
	// for the handler: LinkClosed follows.
	Close() error
}

// Junk is why a message on a link cannot be a frame.
type Junk string

// What a Transport tells apart.
const (
	JunkText Junk = "text message"
	JunkLong Junk = "larger than the link takes"
)

// LinkHandler hears what happens on a link. The calls of one link do not
// overlap, but for LinkWritable, and LinkClosed is the last of them; it comes
// exactly once for every link that Answer or Offer returned, also if it never
// opened.
type LinkHandler interface {
	LinkOpen()
	// LinkFrame hands over one frame; b is valid until it returns. While it
	// blocks, the remote peer is held back.
	LinkFrame(b []byte)
	// LinkJunk reports a message that cannot be a frame.
	LinkJunk(Junk)
	// LinkWritable says that Buffered fell to the threshold of Link.WakeAt, from
	// above it. It must not block.
	LinkWritable()
	LinkClosed(err error)
}
