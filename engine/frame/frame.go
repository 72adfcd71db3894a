// Package frame is the wire codec of data-channel messages
// (docs/protocol.md, "Frames"). A message is one or more frames; a frame is a
// header of 15 bytes and a part of the payload, a chunk:
//
//	0  12  channel name, UTF-8, padded with zero bytes
//	12  1  nonce: the number of the message on its channel, modulo 256
//	13  1  tag bits
//	14  1  progress: 255 times the part of the message that is sent with this frame
//	15  n  chunk
package frame

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// Sizes that sender and receiver agree on, in bytes unless said otherwise.
const (
	NameSize     = 12
	HeaderSize   = 15
	MaxFrame     = 16384 // of the frames that Encode makes
	MaxPayload   = MaxFrame - HeaderSize
	MaxChunks    = 100        // frames of one message, its meta included
	CompressFrom = 512        // text and JSON from this size on is compressed
	MaxReceived  = 256 * 1024 // of the frames that Push takes: what fits one WebRTC message
)

// Positions in the header, after the channel name.
const (
	atNonce    = NameSize
	atTag      = NameSize + 1
	atProgress = NameSize + 2
)

// Tag bits. Binary messages carry tagJSON too, as the browsers' do; tagBinary
// outranks it.
const (
	tagLast   = 1 << iota // the last chunk of its message
	tagMeta               // the chunk is the meta value, not data
	tagBinary             // data is bytes
	tagJSON               // data is the JSON text of a value
	tagZlib               // data is compressed as a whole, RFC 1950
)

// Errors of Encode and Push. They come wrapped: use errors.Is.
var (
	ErrShort    = errors.New("frame is shorter than its header")
	ErrLong     = errors.New("frame is larger than 256 KiB")
	ErrName     = errors.New("channel name must be 1 to 12 bytes of UTF-8 without zero bytes")
	ErrTooLarge = errors.New("message needs more than 100 frames")
	ErrProgress = errors.New("progress contradicts the chunks before")
	ErrMeta     = errors.New("meta is not one chunk of valid JSON")
	ErrJSON     = errors.New("JSON is not valid")
	ErrZlib     = errors.New("compressed data is not valid")
	ErrInflated = errors.New("message is too large when inflated")
	ErrOverflow = errors.New("too much of unfinished messages is held")
	ErrDropped  = errors.New("chunk belongs to a message that was dropped")
)

// ValidName reports whether a frame can carry name as its channel.
func ValidName(name string) bool {
	return len(name) >= 1 && len(name) <= NameSize && utf8.ValidString(name) && !strings.Contains(name, "\x00")
}

// channelName reads the padded name at the start of a frame.
func channelName(b []byte) (string, bool) {
	name := string(bytes.TrimRight(b[:NameSize], "\x00"))
	return name, ValidName(name)
}
