package frame

import (
	"fmt"
	"sync"
)

// Encode splits one message into the frames that carry it, in order. All
// receivers of a message can be sent the same frames. Text and JSON of
// [CompressFrom] bytes or more is compressed, if that makes it smaller. Meta
// travels with Binary only and is left out elsewhere. c is taken as it is:
// Data of kind JSON, and Meta, must be JSON text.
//
// The error is ErrName, or ErrTooLarge for a message of more than MaxChunks
// frames or with meta that does not fit one frame.
func Encode(channel string, nonce byte, c Content) ([][]byte, error) {
	return encode(channel, nonce, c, fast)
}

// EncodeDense is Encode for what is worth more time for fewer bytes.
func EncodeDense(channel string, nonce byte, c Content) ([][]byte, error) {
	return encode(channel, nonce, c, dense)
}

func encode(channel string, nonce byte, c Content, deflaters *sync.Pool) ([][]byte, error) {
	if !ValidName(channel) {
		return nil, fmt.Errorf("encoding for channel %.40q: %w", channel, ErrName)
	}
	var tag byte
	var meta []byte
	switch c.Kind {
	case JSON:
		tag = tagJSON
	case Binary:
		tag = tagBinary | tagJSON
		meta = c.Meta
	}
	data := c.Data
	if c.Kind != Binary && len(data) >= CompressFrom {
		// Beyond this size compressing would have gained nothing.
		limit := min(len(data)-1, MaxChunks*MaxPayload)
		if d := deflaters.Get().(*deflater); d.deflate(data, limit) {
			defer deflaters.Put(d) // data lies in its buffer
			data = d.out.b
			tag |= tagZlib
		} else {
			deflaters.Put(d)
		}
	}

	chunks := max(1, (len(data)+MaxPayload-1)/MaxPayload)
	if len(meta) > 0 {
		chunks++
	}
	if chunks > MaxChunks || len(meta) > MaxPayload {
		return nil, fmt.Errorf("encoding %d bytes and %d of meta for channel %q: %w", len(c.Data), len(meta), channel, ErrTooLarge)
	}

	s := splitter{
		frames: make([][]byte, 0, chunks),
		memory: make([]byte, 0, chunks*HeaderSize+len(meta)+len(data)),
		chunks: chunks,
	}
	copy(s.header[:], channel)
	s.header[atNonce] = nonce
	if len(meta) > 0 {
		s.add(tag|tagMeta, meta)
	}
	for len(data) > MaxPayload {
		s.add(tag, data[:MaxPayload])
		data = data[MaxPayload:]
	}
	s.add(tag|tagLast, data)
	return s.frames, nil
}

// splitter makes the frames of one message, all in one piece of memory.
type splitter struct {
	frames [][]byte
	memory []byte
	header [HeaderSize]byte
	chunks int // of the whole message
}

func (s *splitter) add(tag byte, chunk []byte) {
	s.header[atTag] = tag
	// 255 times the part that is done, rounded half up like JavaScript's Math.round.
	s.header[atProgress] = byte((2*255*(len(s.frames)+1) + s.chunks) / (2 * s.chunks))
	start := len(s.memory)
	s.memory = append(s.memory, s.header[:]...)
	s.memory = append(s.memory, chunk...)
	s.frames = append(s.frames, s.memory[start:len(s.memory):len(s.memory)])
}
