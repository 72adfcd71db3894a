package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/genosrtc/caddy-genosrtc/internal/histogram"
)

// audience is the receivers and the sender.
type audience struct {
	c       contestant
	size    int
	conns   []net.Conn
	readers sync.WaitGroup
	sender  net.Conn

	sent      uint64 // messages
	sentAt    [1 << 16]atomic.Int64
	read      atomic.Int64 // bytes, of receivers
	delivered atomic.Int64
	latencies atomic.Pointer[histogram.Histogram]
	closing   atomic.Bool
	left      chan struct{}         // closed with it
	trouble   atomic.Pointer[error] // the first one
}

// deliverWithin is how long a message may be under way.
const deliverWithin = 30 * time.Second

// gather connects everybody, and waits until nothing is said any more.
func gather(ctx context.Context, c contestant, url string, l load) (_ *audience, err error) {
	a := &audience{c: c, size: l.size, left: make(chan struct{})}
	a.latencies.Store(new(histogram.Histogram))
	defer func() {
		if err != nil {
			a.leave()
		}
	}()
	for i := range l.receivers {
		conn, err := c.connect(ctx, url+c.path, c.hello)
		if err != nil {
			return nil, fmt.Errorf("receiver %d: %w", i+1, err)
		}
		a.conns = append(a.conns, conn)
		a.readers.Go(func() { a.receive(conn) })
	}
	conn, err := c.connect(ctx, url+c.sender, c.senderHello)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	a.sender = conn
	a.conns = append(a.conns, conn)
	a.readers.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // its acknowledgements
	a.readers.Go(a.stayAlive)
	for before := int64(-1); before != a.read.Load(); {
		before = a.read.Load()
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return a, nil
}

// connect makes a connection, says hello, and reads until the answer has come.
func (c contestant) connect(ctx context.Context, url string, hello []byte) (net.Conn, error) {
	d := ws.Dialer{}
	if c.subprotocol != "" {
		d.Protocols = []string{c.subprotocol}
	}
	conn, br, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	if br == nil {
		br = bufio.NewReader(conn)
	}
	if hello != nil {
		_, err = conn.Write(hello)
	}
	var said []byte
	buf := make([]byte, 4096)
	for err == nil && !bytes.Contains(said, []byte(c.ready)) {
		var n int
		n, err = br.Read(buf)
		said = append(said, buf[:n]...)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("saying hello to %s: %w", url, err)
	}
	return conn, nil
}

// receive reads what a receiver is sent. It looks for marks alone, so that it
// costs the same whatever the protocol.
func (a *audience) receive(conn net.Conn) {
	buf := make([]byte, 8<<10)
	kept := 0
	unacknowledged, before := uint64(0), uint64(0)
	for {
		n, err := conn.Read(buf[kept:])
		if err != nil {
			a.note(fmt.Errorf("a receiver lost its connection: %w", err))
			return
		}
		a.read.Add(int64(n))
		if before == 0 && a.c.acknowledge != nil {
			before = offsetBefore(buf[:kept+n])
		}
		marks, last, rest := a.marks(buf[:kept+n])
		kept = copy(buf, rest)
		if marks == 0 {
			continue
		}
		a.delivered.Add(int64(marks))
		if unacknowledged += uint64(marks); a.c.acknowledge != nil && unacknowledged >= ackEvery {
			unacknowledged = 0
			if _, err := conn.Write(a.c.acknowledge(before + last)); err != nil {
				a.note(fmt.Errorf("a receiver cannot acknowledge: %w", err))
				return
			}
		}
	}
}

// offsetBefore is the offset before that of the first message, which the piece of
// the stream has or not: then it is 0. A journal's offsets begin anywhere.
func offsetBefore(b []byte) uint64 {
	key := []byte("\xa3seq\xcf") // in MessagePack, before an integer of 64 bits
	i := bytes.Index(b, key)
	if i < 0 || len(b) < i+len(key)+8 {
		return 0
	}
	return binary.BigEndian.Uint64(b[i+len(key):]) - 1
}

// marks counts the marks in a piece of the stream. rest may be the beginning of
// another one.
func (a *audience) marks(b []byte) (count int, last uint64, rest []byte) {
	latencies, now := a.latencies.Load(), time.Now().UnixNano()
	for {
		i := bytes.Index(b, []byte(markBegin))
		if i < 0 {
			if len(b) > 0 && b[len(b)-1] == markBegin[0] {
				return count, last, b[len(b)-1:]
			}
			return count, last, nil
		}
		if b = b[i:]; len(b) < markSize {
			return count, last, b
		}
		last = markNumber(b)
		latencies.Add(time.Duration(now - a.sentAt[last%uint64(len(a.sentAt))].Load()))
		count++
		b = b[markSize:]
	}
}

// send sends n messages, with at most a window of them under way, and at a rate
// a second if that is not 0. It waits until everybody has all of them.
func (a *audience) send(ctx context.Context, n, window, rate int) error {
	a.latencies.Store(new(histogram.Histogram))
	base, began := a.sent, time.Now()
	receivers := int64(len(a.conns) - 1)
	for i := range n {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		if err := a.await(ctx, (int64(base)+int64(i)-int64(window)+1)*receivers); err != nil {
			return err
		}
		a.sent++
		message := a.c.publish(a.sent, payload(a.sent, a.size))
		a.sentAt[a.sent%uint64(len(a.sentAt))].Store(time.Now().UnixNano())
		if _, err := a.sender.Write(message); err != nil {
			return fmt.Errorf("sending: %w", err)
		}
	}
	return a.await(ctx, int64(a.sent)*receivers)
}

// await waits for so many deliveries since the beginning.
func (a *audience) await(ctx context.Context, deliveries int64) error {
	for late := time.Now().Add(deliverWithin); a.delivered.Load() < deliveries; {
		if trouble := a.trouble.Load(); trouble != nil {
			return *trouble
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(late) {
			return fmt.Errorf("%d of %d deliveries are missing", deliveries-a.delivered.Load(), deliveries)
		}
		time.Sleep(20 * time.Microsecond)
	}
	return nil
}

func (a *audience) note(err error) {
	if !a.closing.Load() && !errors.Is(err, net.ErrClosed) {
		a.trouble.CompareAndSwap(nil, &err)
	}
}

// aliveEvery is how often the clients show that they live. They do not answer
// pings, which they would have to find in the stream first.
const aliveEvery = 15 * time.Second

func (a *audience) stayAlive() {
	pong := frame(ws.OpPong, nil)
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-a.left:
			return
		}
		for _, c := range a.conns {
			_, _ = c.Write(pong) // who reads it notices an error
		}
	}
}

// leave ends all connections.
func (a *audience) leave() {
	a.closing.Store(true)
	close(a.left)
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.readers.Wait()
}
