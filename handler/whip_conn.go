package handler

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
	"github.com/genosrtc/caddy-genosrtc/session"
)

const (
	// channelLabel is the data channel that carries a session.
	channelLabel = "genosrtc"
	// channelMessage is the size of the messages on it, which every implementation
	// takes. A longer one of ours goes in pieces.
	channelMessage = 64 << 10
	// pieceSize leaves room for the header of a piece.
	pieceSize = channelMessage - 8
	// closeTooBig is what a WebSocket's end would be too (RFC 6455, section 7.4.1).
	closeTooBig = 1009
)

// MessagePack's formats of pieces.
const (
	packNil   = 0xc0
	packBin8  = 0xc4
	packBin16 = 0xc5
	packBin32 = 0xc6
)

// dataConn is a session.Conn on a data channel (docs/gateway.md, "WebRTC"). What is
// longer than one of its messages comes and goes in pieces, each a bin, with nil
// behind the last.
type dataConn struct {
	guest   *rtc.Guest
	channel *rtc.Channel
	limit   int // of what comes in pieces, together

	joined bytes.Buffer
	piece  []byte
}

// Read implements session.Conn.
func (c *dataConn) Read() ([]byte, bool, error) {
	if c.joined.Cap() > keptBuffer {
		c.joined = bytes.Buffer{}
	}
	c.joined.Reset()
	for begun := false; ; begun = true {
		message, text, err := c.channel.Read()
		if errors.Is(err, rtc.ErrMessageSize) {
			return nil, false, c.fail(closeTooBig, "a message is too long: send it in pieces")
		}
		if err != nil {
			return nil, false, err
		}
		piece, ok := pieceOf(message)
		switch {
		case text, !begun && !ok:
			return message, !text, nil
		case ok && c.joined.Len()+len(piece) > c.limit:
			return nil, false, c.fail(closeTooBig, "the pieces of a message are too many")
		case ok:
			c.joined.Write(piece)
		case len(message) == 1 && message[0] == packNil:
			return c.joined.Bytes(), true, nil
		default:
			return nil, false, c.fail(session.CloseProtocol, "a message between the pieces of another")
		}
	}
}

// pieceOf is what a MessagePack bin holds.
func pieceOf(message []byte) (piece []byte, ok bool) {
	if len(message) == 0 {
		return nil, false
	}
	var n, header int
	switch b := message; {
	case b[0] == packBin8 && len(b) >= 2:
		n, header = int(b[1]), 2
	case b[0] == packBin16 && len(b) >= 3:
		n, header = int(binary.BigEndian.Uint16(b[1:])), 3
	case b[0] == packBin32 && len(b) >= 5:
		n, header = int(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return nil, false
	}
	return message[header:], len(message)-header == n
}

// Write implements session.Conn.
func (c *dataConn) Write(messages [][]byte, _ bool, deadline time.Time) error {
	for _, m := range messages {
		if err := c.write(m, deadline); err != nil {
			return err
		}
	}
	return nil
}

func (c *dataConn) write(m []byte, deadline time.Time) error {
	if len(m) <= channelMessage {
		return c.channel.Write(m, deadline)
	}
	for len(m) > 0 {
		n := min(len(m), pieceSize)
		c.piece = binary.BigEndian.AppendUint32(append(c.piece[:0], packBin32), uint32(n))
		c.piece = append(c.piece, m[:n]...)
		if err := c.channel.Write(c.piece, deadline); err != nil {
			return err
		}
		m = m[n:]
	}
	return c.channel.Write([]byte{packNil}, deadline)
}

// Close implements session.Conn. There are no close codes on data channels, so that
// a last message says why.
func (c *dataConn) Close(code int, reason string) {
	_ = c.say(code, reason) // who cannot be told will see the connection end
	_ = c.guest.Close()
}

// fail is the end of a session for a fault that has no answer of its own.
func (c *dataConn) fail(code int, reason string) error {
	_ = c.say(code, reason)
	return &session.End{Code: code, Reason: reason}
}

func (c *dataConn) say(code int, reason string) error {
	return c.channel.Finish(encodeEnd(code, reason), time.Now().Add(farewellTime))
}

func encodeEnd(code int, reason string) []byte {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	// A map of strings and a number can be encoded.
	_ = e.Encode(struct {
		Op     session.Op `msgpack:"op"`
		Code   int        `msgpack:"code"`
		Reason string     `msgpack:"reason"`
	}{session.OpEnd, code, reason})
	return b.Bytes()
}
