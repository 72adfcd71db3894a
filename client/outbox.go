package client

import (
	"context"
	"fmt"
)

// What may wait in the outbox: Send blocks beyond it. One send always has
// place.
const (
	outboxSends = 4096
	outboxBytes = 8 << 20
)

// outbox keeps the sends that the server has not acknowledged. Guarded by
// Room.mu.
type outbox struct {
	next    uint64 // the seq of the next send
	acked   uint64 // what the server has
	waiting []pending
	bytes   int
	written int           // how many of waiting this connection was given
	ever    uint64        // the highest seq that any connection was given
	changed chan struct{} // closed when acked rises
}

// pending is a send that waits to be acknowledged, as it is written.
type pending struct {
	seq uint64
	raw []byte
}

func (o *outbox) init() {
	o.next = 1
	o.changed = make(chan struct{})
}

func (o *outbox) full() bool {
	return len(o.waiting) >= outboxSends || o.bytes >= outboxBytes
}

func (o *outbox) add(p pending) {
	o.waiting = append(o.waiting, p)
	o.bytes += len(p.raw)
}

// take is the next send to write on this connection, or nil.
func (o *outbox) take() []byte {
	if o.written == len(o.waiting) {
		return nil
	}
	p := o.waiting[o.written]
	o.written++
	o.ever = max(o.ever, p.seq)
	return p.raw
}

// ack drops what the server has.
func (o *outbox) ack(seq uint64) {
	if seq <= o.acked {
		return
	}
	o.acked = seq
	o.next = max(o.next, seq+1)
	n := 0
	for n < len(o.waiting) && o.waiting[n].seq <= seq {
		o.bytes -= len(o.waiting[n].raw)
		o.waiting[n].raw = nil
		n++
	}
	o.waiting = o.waiting[n:]
	o.written = max(0, o.written-n)
	close(o.changed)
	o.changed = make(chan struct{})
}

// SendOption says more about a send or a transfer.
type SendOption func(*frame) error

// To names the recipients; with none, nobody. Without this option all peers
// are meant.
func To(peers ...string) SendOption {
	return func(f *frame) error {
		to := append([]string{}, peers...)
		f.To = &to
		return nil
	}
}

// Meta travels beside the data; any value but nil that encoding/json takes.
func Meta(v any) SendOption {
	return func(f *frame) (err error) {
		if f.Meta, err = newMeta(v); err != nil {
			return fmt.Errorf("client: meta: %w", err)
		}
		return nil
	}
}

// WithProgress asks for Progress events about a send.
func WithProgress() SendOption {
	return func(f *frame) error {
		f.Progress = true
		return nil
	}
}

// Send queues a message and returns its seq. Value is a string, []byte, or what
// encoding/json takes. It blocks while 4,096 sends or 8 MiB are not
// acknowledged, until ctx ends.
//
// The seqs count up by one from State.Next. A send is written again after each
// loss of the connection, with the same seq, until the server has it; the
// server takes it once. One that it refuses is told by a Refused event.
func (r *Room) Send(ctx context.Context, channel string, value any, opts ...SendOption) (uint64, error) {
	f := &frame{Op: opSend, Channel: channel}
	var err error
	if f.Data, err = newData(value); err != nil {
		return 0, err
	}
	for _, o := range opts {
		if err := o(f); err != nil {
			return 0, err
		}
	}
	for {
		r.mu.Lock()
		if r.err != nil {
			err := r.err
			r.mu.Unlock()
			return 0, err
		}
		if !r.out.full() {
			break
		}
		changed := r.out.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-r.ctx.Done():
		case <-ctx.Done():
			return 0, fmt.Errorf("client: send to %q: the queue is full: %w", channel, ctx.Err())
		}
	}
	defer r.mu.Unlock()
	f.Seq = r.out.next
	raw, err := r.encodeSend(f)
	if err != nil {
		return 0, fmt.Errorf("client: send to %q: %w", channel, err)
	}
	r.out.next++
	r.out.add(pending{f.Seq, raw})
	if r.conn != nil {
		r.conn.poke()
	}
	return f.Seq, nil
}

// Acked is the highest seq that the server has acknowledged; all below are
// acknowledged too.
func (r *Room) Acked() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.acked
}

// Wait waits until the server has acknowledged a seq. Refused sends are
// acknowledged as well; their Refused event comes before.
func (r *Room) Wait(ctx context.Context, seq uint64) error {
	for {
		r.mu.Lock()
		acked, changed, err := r.out.acked, r.out.changed, r.err
		r.mu.Unlock()
		if acked >= seq {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
		case <-ctx.Done():
			return fmt.Errorf("client: wait for the acknowledgement of %d: %w", seq, ctx.Err())
		}
	}
}
