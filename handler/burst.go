package handler

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"sync"
)

// burst reads the messages of a client that sends many at once. Those that lie
// whole in the connection's buffer, in one frame each, are taken from there;
// everything else is the library's, which takes its locks several times for a
// message and reads it in several calls: that would cost more than all else
// that is done to a small message.
type burst struct {
	mu  sync.Mutex
	buf *bufio.Reader // the library reads from it too; nil when that is closing
}

// next moves a message into in, if there is one.
func (b *burst) next(in *bytes.Buffer) (opcode byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf == nil {
		return 0, false
	}
	waiting, _ := b.buf.Peek(b.buf.Buffered())
	head, length := maskedFrame(waiting)
	if head == 0 {
		return 0, false
	}
	opcode = waiting[0]
	in.Reset()
	in.Write(waiting[head : head+length])
	unmask(in.Bytes(), [4]byte(waiting[head-4:]))
	_, _ = b.buf.Discard(head + length) // it is there
	return opcode, true
}

// end leaves the rest to the library, whose Close reads in another goroutine.
func (b *burst) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = nil
}

// maskedFrame looks for a frame at the start of b that is whole, and a whole
// message of a client in the shortest form (RFC 6455, section 5.2). head is the
// length of its header, the mask included; 0 if there is none.
func maskedFrame(b []byte) (head, length int) {
	if len(b) < 2 || b[0] != opText && b[0] != opBinary || b[1]&0x80 == 0 {
		return 0, 0
	}
	head, length = 2+4, int(b[1]&0x7f)
	switch {
	case length == 127:
		return 0, 0 // larger than the buffer
	case length == 126:
		if len(b) < 4 {
			return 0, 0
		}
		head, length = head+2, int(binary.BigEndian.Uint16(b[2:]))
		if length < 126 {
			return 0, 0
		}
	}
	if len(b) < head+length {
		return 0, 0
	}
	return head, length
}

// unmask is section 5.3.
func unmask(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i%4]
	}
}
