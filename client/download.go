package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

const (
	// ackEvery is after how many stored bytes the sender is told, half of what
	// docs/gateway.md asks for.
	ackEvery = 32 << 10
	// downloads is how many transfers may arrive at once; more are refused.
	downloads = 64
	// downloadQueue is how many bytes of one may wait to be stored. The sender
	// keeps to its window, which is half of it.
	downloadQueue = 1 << 20
	// downloadFrames bounds the messages that wait besides.
	downloadFrames = 1024
	// remembered is how many transfers that ended well are known, so that the
	// answer can be repeated.
	remembered = 1024
)

// Incoming is a transfer that somebody offers. From and ID name it. Offset is
// above 0 where a transfer goes on that this process does not know, because the
// one before was killed: so much was acknowledged, and Sink.Offset must not be
// less. Who does not have it any more refuses the transfer.
type Incoming struct {
	From    string
	ID      uint64
	Channel string
	Size    int64
	Kind    string
	Meta    any
	Offset  int64
}

// Sink takes the bytes of a transfer.
type Sink struct {
	// Store takes the bytes, in order; *os.File is one.
	Store interface {
		io.ReaderAt
		io.WriterAt
	}
	// Offset is how many bytes Store has already; they are read again for the
	// hash.
	Offset int64
	// Progress, if not nil, is told after each write how many bytes Store has.
	Progress func(stored int64)
	// Done, if not nil, is told once that the transfer ended: nil says that all
	// is stored and the hash is right. After any other error but a
	// *CancelledError a part may be kept, for the transfer may go on in another
	// process. The sender is told when Done has returned; it must not call
	// Close or Leave.
	Done func(err error)
}

// ErrCorrupt is why a transfer failed whose bytes have another hash than the
// sender said.
var ErrCorrupt = errors.New("client: transfer: the hash is wrong")

// loadKey names a transfer to us.
type loadKey struct {
	from string
	id   uint64
}

// download is a transfer that arrives. Its goroutine does what its queue says.
type download struct {
	room *Room
	key  loadKey
	wake chan struct{}
	done chan struct{} // closed when its goroutine is about to end

	// Guarded by Room.mu.
	queue  []loadFrame
	queued int // bytes
	over   error
	stands bool // it ended well, and the sender is about to be told

	// Of its goroutine.
	size   int64
	sink   *Sink
	stored int64
	told   int64
	hash   hash.Hash
}

// loadFrame is a message about a download, and the connection on which it came,
// where the answer goes.
type loadFrame struct {
	*frame
	c *connection
}

// downloadFrame hands a message to the transfer that it is about.
func (r *Room) downloadFrame(c *connection, f *frame) {
	key := loadKey{f.From, f.Transfer}
	r.mu.Lock()
	d := r.loads[key]
	if d == nil && f.Op == opBegin && f.Size != nil && *f.Size >= 0 && r.err == nil {
		switch {
		case slices.Contains(r.finished, key):
			defer c.post(&frame{Op: opEnd, Transfer: key.id, From: key.from})
		case r.secrets[f.Channel] != nil:
			defer refuse(c, key, "the channel is encrypted")
		case r.opts.Accept == nil:
			defer refuse(c, key, "this client takes no transfers")
		case len(r.loads) >= downloads:
			defer refuse(c, key, fmt.Sprintf("more than %d transfers", downloads))
		default:
			d = &download{room: r, key: key, wake: make(chan struct{}, 1), done: make(chan struct{}), hash: sha256.New()}
			r.loads[key] = d
			r.wg.Go(d.run)
		}
	}
	if d != nil {
		d.push(loadFrame{f, c})
	}
	r.mu.Unlock()
}

func refuse(c *connection, key loadKey, reason string) {
	c.post(&frame{Op: opCancel, Transfer: key.id, From: key.from, Reason: cut(reason)})
}

// push queues a message. Needs Room.mu.
func (d *download) push(f loadFrame) {
	if f.Op == opChunk && f.Data != nil {
		b, _ := f.Data.v.([]byte)
		d.queued += len(b)
	}
	if d.queued > downloadQueue || len(d.queue) >= downloadFrames {
		d.over = errors.New("client: transfer: more was sent than the window allows")
	} else {
		d.queue = append(d.queue, f)
	}
	signal(d.wake)
}

// dropTransfers ends all transfers.
func (r *Room) dropTransfers(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.uploads {
		u.finish(err)
	}
	for _, d := range r.loads {
		d.drop(err)
	}
	r.finished = nil
}

// dropDownloads ends the transfers from a peer.
func (r *Room) dropDownloads(from string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, d := range r.loads {
		if key.from == from {
			d.drop(err)
		}
	}
}

// drop makes the goroutine end. Needs Room.mu.
func (d *download) drop(err error) {
	d.over = err
	signal(d.wake)
}

// run handles the queue until the transfer has ended.
func (d *download) run() {
	defer close(d.done)
	r := d.room
	for {
		r.mu.Lock()
		over := d.over
		var f loadFrame
		if len(d.queue) > 0 {
			f, d.queue = d.queue[0], d.queue[1:]
		}
		r.mu.Unlock()
		switch {
		case over != nil:
			d.close(over)
			return
		case f.frame == nil:
			<-d.wake
			continue
		}
		ended, err := d.handle(f)
		if f.Op == opChunk && f.Data != nil {
			b, _ := f.Data.v.([]byte)
			r.mu.Lock()
			d.queued -= len(b)
			r.mu.Unlock()
		}
		if err != nil {
			r.log.Warn("transfer failed", "from", d.key.from, "transfer", d.key.id, "err", err)
			if _, ok := errors.AsType[*CancelledError](err); !ok {
				reason := err.Error()
				if errors.Is(err, ErrCorrupt) {
					reason = "corrupt"
				}
				refuse(f.c, d.key, reason)
			}
		}
		if ended || err != nil {
			d.close(err)
			return
		}
	}
}

// close forgets the transfer, unless it ended well: then the sender is told.
func (d *download) close(err error) {
	d.room.mu.Lock()
	d.stands = err == nil
	d.room.mu.Unlock()
	if d.sink != nil && d.sink.Done != nil {
		d.sink.Done(err)
	}
	r := d.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if r.conn != nil { // else the server asks again
			r.conn.post(&frame{Op: opEnd, Transfer: d.key.id, From: d.key.from}) // before Leave sees that it is over
		}
		r.finished = append(r.finished, d.key)
		r.finished = r.finished[max(0, len(r.finished)-remembered):]
	}
	delete(r.loads, d.key)
}

// waitDownloads waits until the senders of those transfers have been told that
// are stored already.
func (r *Room) waitDownloads(ctx context.Context) error {
	var stand []*download
	r.mu.Lock()
	for _, d := range r.loads {
		if d.stands {
			stand = append(stand, d)
		}
	}
	r.mu.Unlock()
	for _, d := range stand {
		select {
		case <-d.done:
		case <-ctx.Done():
			return fmt.Errorf("client: leave: the end of transfer %d: %w", d.key.id, ctx.Err())
		}
	}
	return nil
}

// handle does what one message says. ended means that all is stored.
func (d *download) handle(f loadFrame) (ended bool, err error) {
	switch f.Op {
	case opBegin:
		if d.sink == nil {
			if err := d.open(f.frame); err != nil {
				return false, err
			}
		}
		d.told = d.stored
		f.c.post(&frame{Op: opBegin, Transfer: d.key.id, From: d.key.from, Offset: new(d.stored)})
	case opChunk:
		return false, d.store(f)
	case opEnd:
		if d.stored < d.size || hex.EncodeToString(d.hash.Sum(nil)) != f.Hash {
			return false, ErrCorrupt
		}
		return true, nil
	case opCancel:
		return false, &CancelledError{f.Reason}
	}
	return false, nil
}

// open asks the application where the bytes are to go.
func (d *download) open(f *frame) error {
	d.size = *f.Size
	sink, err := d.room.opts.Accept(Incoming{From: d.key.from, ID: d.key.id, Channel: f.Channel, Size: d.size, Kind: f.Kind, Meta: f.meta(), Offset: f.offset()})
	if err != nil {
		return err
	}
	d.sink = &sink
	if sink.Offset < f.offset() || sink.Offset > d.size {
		return fmt.Errorf("client: transfer: %d bytes are here, and between %d and %d should be", sink.Offset, f.offset(), d.size)
	}
	n, err := io.Copy(d.hash, io.NewSectionReader(sink.Store, 0, sink.Offset))
	if err == nil && n < sink.Offset {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("client: transfer: reading what is stored: %w", err)
	}
	d.stored = sink.Offset
	return nil
}

// store writes a chunk, if it goes on where the last one ended.
func (d *download) store(f loadFrame) error {
	if d.sink == nil || f.Data == nil || f.offset() != d.stored {
		return nil
	}
	b, ok := f.Data.v.([]byte)
	if !ok || int64(len(b)) > d.size-d.stored {
		return errors.New("client: transfer: a chunk is no bytes, or too long")
	}
	if _, err := d.sink.Store.WriteAt(b, d.stored); err != nil {
		return fmt.Errorf("client: transfer: storing failed: %w", err)
	}
	d.hash.Write(b)
	d.stored += int64(len(b))
	if d.sink.Progress != nil {
		d.sink.Progress(d.stored)
	}
	if d.stored-d.told >= ackEvery || d.stored == d.size {
		d.told = d.stored
		f.c.post(&frame{Op: opAck, Transfer: d.key.id, From: d.key.from, Offset: new(d.stored)})
	}
	return nil
}
