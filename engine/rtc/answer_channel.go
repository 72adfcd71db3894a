package rtc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/datachannel"
)

const (
	// maxGuestMessage is the largest message that is taken of a client, which our
	// descriptions tell. It has to fit into SCTP's receive buffer of 1 MiB.
	maxGuestMessage = 256 << 10
	// firstBuffer is what a channel that hears little reads into.
	firstBuffer = 4 << 10
	// keptBuffer is what it goes on with after a message that was larger.
	keptBuffer = 64 << 10
	// maxBuffered is what may wait in SCTP for the client; lowBuffered is where
	// writing goes on.
	maxBuffered = 512 << 10
	lowBuffered = 256 << 10
)

// ErrMessageSize is a message that is larger than those that are taken.
var ErrMessageSize = fmt.Errorf("a message has more than %d bytes", maxGuestMessage)

// Channel is a guest's data channel, as a stream of messages in both directions.
// One goroutine reads, and one writes.
type Channel struct {
	g   *Guest
	dc  *datachannel.DataChannel
	buf []byte
	low chan struct{} // has room for one token

	over     chan struct{} // closed at the last message
	mu       sync.Mutex    // orders what is written
	finished bool          // over is closed
}

func newChannel(g *Guest, dc *datachannel.DataChannel) *Channel {
	c := &Channel{g: g, dc: dc, low: make(chan struct{}, 1), over: make(chan struct{})}
	dc.SetBufferedAmountLowThreshold(lowBuffered)
	dc.OnBufferedAmountLow(func() {
		select {
		case c.low <- struct{}{}:
		default:
		}
	})
	return c
}

// Read waits for a message, which is valid until the next call, and tells whether
// it is text. It fails with ErrMessageSize, or when the channel or the connection
// has ended. While nobody reads, the client is held back.
func (c *Channel) Read() (message []byte, text bool, err error) {
	if c.buf == nil || len(c.buf) > keptBuffer {
		c.buf = make([]byte, firstBuffer)
	}
	for {
		n, text, err := c.dc.ReadDataChannel(c.buf)
		switch {
		case err == nil:
			return c.buf[:n], text, nil
		case !errors.Is(err, io.ErrShortBuffer):
			return nil, false, errRemote
		case len(c.buf) >= maxGuestMessage:
			return nil, false, ErrMessageSize
		}
		c.buf = make([]byte, min(4*len(c.buf), maxGuestMessage)) // the message is still there
	}
}

// Write sends one message. While much waits already it waits too: until the
// deadline, which is os.ErrDeadlineExceeded.
func (c *Channel) Write(message []byte, deadline time.Time) error {
	if err := c.until(maxBuffered-len(message), deadline, c.over); err != nil {
		return err
	}
	return c.put(message, false)
}

// Finish sends a last message, whatever waits before it, and waits until the client
// has all that was written, as far as SCTP knows. It ends Write. It is called once,
// by any goroutine.
func (c *Channel) Finish(last []byte, deadline time.Time) error {
	c.dc.SetBufferedAmountLowThreshold(0)
	if err := c.put(last, true); err != nil {
		return err
	}
	return c.until(0, deadline, nil)
}

// put hands a message to SCTP, which takes it at once, and none after the last.
func (c *Channel) put(message []byte, last bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return net.ErrClosed
	}
	if last {
		c.finished = true
		close(c.over)
	}
	if _, err := c.dc.WriteDataChannel(message, false); err != nil {
		return fmt.Errorf("write to a data channel: %w", err)
	}
	return nil
}

// until waits until no more than so many bytes wait for the client, or over is closed.
func (c *Channel) until(most int, deadline time.Time, over <-chan struct{}) error {
	if c.waiting() <= most {
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for c.waiting() > most {
		select {
		case <-c.low:
		case <-over:
			return net.ErrClosed
		case <-c.g.Done():
			return errRemote
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

func (c *Channel) waiting() int { return int(c.dc.BufferedAmount()) }
