package rtc

import (
	"errors"
	"io"
	"sync"

	"github.com/pion/transport/v4/packetio"
	"github.com/pion/webrtc/v4"
)

const (
	// maxReceived and maxReported bound the sources (SSRC) that a connection may
	// have sent RTP of, and RTCP about. pion has a buffer for each that a packet
	// names, until the connection ends. The RTCP buffers of tracks that we send go
	// with them.
	maxReceived = 64
	maxReported = 512
	// What waits in a buffer, in bytes: pion's own limits.
	maxRTPBuffer  = 1_000_000
	maxRTCPBuffer = 100_000
)

var errTooManySources = errors.New("too many sources of media")

// bounded has an API's connections bounded in what they buffer of media. The
// connection that is made of it is ended by end, once.
func bounded(settings webrtc.SettingEngine, media []func(*webrtc.API), end func(error)) *webrtc.API {
	b := &buffers{end: end}
	settings.BufferFactory = b.make
	return webrtc.NewAPI(append([]func(*webrtc.API){webrtc.WithSettingEngine(settings)}, media...)...)
}

// buffers are those of one connection.
type buffers struct {
	end func(error)

	mu       sync.Mutex
	received int
	reported int
}

func (b *buffers) make(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	buffer := packetio.NewBuffer()
	n, most, size := &b.received, maxReceived, maxRTPBuffer
	if kind == packetio.RTCPBufferPacket {
		n, most, size = &b.reported, maxReported, maxRTCPBuffer
	}
	b.mu.Lock()
	over := *n >= most
	if !over {
		*n++
	}
	b.mu.Unlock()
	if over {
		buffer.SetLimitSize(1) // it takes nothing
		b.end(errTooManySources)
		return buffer
	}
	buffer.SetLimitSize(size)
	return &counted{Buffer: buffer, free: sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		*n--
	})}
}

// counted is a buffer that counts until it is closed.
type counted struct {
	*packetio.Buffer
	free func()
}

// Close implements io.Closer.
func (c *counted) Close() error {
	c.free()
	return c.Buffer.Close()
}
