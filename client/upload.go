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
	"strings"
	"time"
)

// chunkSize is how much of a transfer one message carries: half of what is
// allowed, so that other messages wait less.
const chunkSize = 32 << 10

// ErrLost is why a transfer failed whose session the server does not have any
// more.
var ErrLost = errors.New("client: the session was lost")

// CancelledError is why a transfer failed: by the application's Cancel, by the
// other side, or by the server ("gone", "too_many", "nobody").
type CancelledError struct{ Reason string }

func (e *CancelledError) Error() string { return "client: transfer cancelled: " + e.Reason }

// Kinds of payload (docs/gateway.md, "Transfers").
const (
	KindBytes = "bytes"
	KindText  = "text"
	KindJSON  = "json"
)

// Outgoing says more about a transfer that is sent; the zero value is usable.
type Outgoing struct {
	// ID names the transfer; 0 chooses one. Another process that resumed the
	// session goes on with the transfer of one that was killed by the same ID,
	// Kind and Options.
	ID uint64
	// Offset is what Upload.Acked last said, where a transfer goes on.
	Offset int64
	// Kind is KindBytes if it is empty.
	Kind string
	// Options are To and Meta.
	Options []SendOption
	// Progress is told how many bytes all recipients have, whenever that grows.
	// It must not block.
	Progress func(acked int64)
}

// Upload is a transfer that is being sent.
type Upload struct {
	room     *Room
	begin    frame
	source   io.ReaderAt
	size     int64
	progress func(int64)
	wake     chan struct{}
	done     chan struct{}

	// Guarded by Room.mu.
	on      *connection // on which it was begun
	granted bool        // the begin was answered
	turn    int         // counts the answers
	next    int64       // the offset of the next chunk
	acked   int64
	ended   bool // the end was sent
	results []Result
	err     error

	// Of the sending goroutine.
	hash   hash.Hash
	hashed int64
	buffer [chunkSize]byte
}

// SendReader begins a transfer of size bytes from source, which is read, in
// part again where a recipient lost some, until the transfer has ended. It
// survives the loss of connections.
func (r *Room) SendReader(channel string, source io.ReaderAt, size int64, o Outgoing) (*Upload, error) {
	if r.secrets[channel] != nil {
		return nil, fmt.Errorf("client: channel %s is encrypted and has no transfers", channel)
	}
	u := &Upload{
		room: r, source: source, size: size, progress: o.Progress,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		acked: o.Offset, hash: sha256.New(),
		begin: frame{Op: opBegin, Channel: channel, Size: &size, Kind: o.Kind},
	}
	if o.Kind == "" {
		u.begin.Kind = KindBytes
	}
	for _, option := range o.Options {
		if err := option(&u.begin); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	id := o.ID
	if id == 0 { // unique in the session over all its processes
		id = max(r.lastID+1, uint64(time.Now().UnixMicro()))
		r.lastID = id
	}
	if r.uploads[id] != nil {
		return nil, fmt.Errorf("client: transfer %d is under way already", id)
	}
	u.begin.Transfer = id
	r.uploads[id] = u
	r.wg.Go(u.run)
	return u, nil
}

// ID names the transfer in the session.
func (u *Upload) ID() uint64 { return u.begin.Transfer }

// Acked is how many bytes all recipients have.
func (u *Upload) Acked() int64 {
	u.room.mu.Lock()
	defer u.room.mu.Unlock()
	return u.acked
}

// Cancel ends the transfer for all recipients.
func (u *Upload) Cancel(reason string) {
	u.room.mu.Lock()
	c := u.room.conn
	u.finish(&CancelledError{reason})
	u.room.mu.Unlock()
	if c != nil {
		c.post(&frame{Op: opCancel, Transfer: u.ID(), Reason: cut(reason)})
	}
}

// Wait waits until each recipient has all or was given up, and returns the
// latter. The error says why the transfer failed as a whole.
func (u *Upload) Wait(ctx context.Context) ([]Result, error) {
	select {
	case <-u.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u.room.mu.Lock()
	defer u.room.mu.Unlock()
	return u.results, u.err
}

// cut is what a reason may have: 256 bytes.
func cut(reason string) string {
	return strings.ToValidUTF8(reason[:min(len(reason), 256)], "")
}

// finish ends the transfer here. Needs Room.mu.
func (u *Upload) finish(err error) {
	if u.room.uploads[u.ID()] != u {
		return
	}
	delete(u.room.uploads, u.ID())
	u.err = err
	close(u.done)
}

// step is what is to be done next: send a message, or (nil) wait.
func (u *Upload) step() (c *connection, f *frame, length, turn int) {
	r := u.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if c = r.conn; c == nil {
		return nil, nil, 0, 0
	}
	if u.on != c {
		u.on, u.granted, u.ended = c, false, false
		f := u.begin
		if u.acked > 0 {
			f.Offset = new(u.acked)
		}
		return c, &f, 0, 0
	}
	window := r.limits.Window
	if window <= 0 {
		window = 512 << 10
	}
	n := min(chunkSize, window, u.size-u.next)
	switch {
	case !u.granted || u.ended:
	case n == 0:
		return c, &frame{Op: opEnd, Transfer: u.ID(), Offset: new(u.next)}, 0, u.turn
	case u.next+n <= u.acked+window:
		return c, &frame{Op: opChunk, Transfer: u.ID(), Offset: new(u.next)}, int(n), u.turn
	}
	return nil, nil, 0, 0
}

// run sends until the transfer has ended.
func (u *Upload) run() {
	for {
		c, f, length, turn := u.step()
		if f == nil {
			select {
			case <-u.wake:
				continue
			case <-u.done:
				return
			}
		}
		if err := u.fill(f, length); err != nil {
			u.room.log.Error("transfer: reading failed", "transfer", u.ID(), "err", err)
			u.Cancel("reading failed")
			return
		}
		c.send(u.room.ctx, f)
		u.room.mu.Lock()
		if u.granted && u.turn == turn {
			u.next += int64(length)
			u.ended = f.Op == opEnd
		}
		u.room.mu.Unlock()
	}
}

// fill reads what a message is to carry. The hash needs all bytes once, in
// order: what another process sent, or who goes on far ahead, is read for it.
func (u *Upload) fill(f *frame, length int) error {
	switch f.Op {
	case opEnd:
		if err := u.hashTo(u.size); err != nil {
			return err
		}
		f.Offset, f.Hash = nil, hex.EncodeToString(u.hash.Sum(nil))
	case opChunk:
		b := u.buffer[:length]
		if err := readFull(u.source, b, *f.Offset); err != nil {
			return err
		}
		if u.hashed == *f.Offset {
			u.hash.Write(b)
			u.hashed += int64(length)
		}
		f.Data = &data{b}
	}
	return nil
}

func (u *Upload) hashTo(end int64) error {
	n, err := io.Copy(u.hash, io.NewSectionReader(u.source, u.hashed, end-u.hashed))
	u.hashed += n
	if err == nil && u.hashed < end {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func readFull(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// uploadFrame handles what the server says about a transfer of ours.
func (r *Room) uploadFrame(f *frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.uploads[f.Transfer]
	if u == nil {
		return
	}
	switch f.Op {
	case opBegin:
		if u.on != r.conn || f.offset() < 0 || f.offset() > u.size {
			return
		}
		u.granted, u.ended = true, false
		u.turn++
		u.next = f.offset() // the window stays where the acknowledgements have it
		signal(u.wake)
	case opEnd:
		u.acked = u.size
		u.finish(nil)
	case opCancel:
		u.finish(&CancelledError{f.Reason})
	}
}

// uploadRefused ends a transfer whose begin was refused. Other errors change
// nothing: the server says how to go on.
func (r *Room) uploadRefused(f *frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.uploads[f.Transfer]; u != nil && !u.granted {
		u.finish(&CancelledError{f.Code + ": " + f.Text})
	}
}

func (r *Room) uploadAcked(f *frame) {
	r.mu.Lock()
	u := r.uploads[f.Transfer]
	rose := u != nil && f.offset() > u.acked && f.offset() <= u.size
	if rose {
		u.acked = f.offset()
		signal(u.wake)
	}
	r.mu.Unlock()
	if rose && u.progress != nil {
		u.progress(f.offset())
	}
}

// uploadResult notes a recipient that was not reached; the server may repeat it.
func (r *Room) uploadResult(f *frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := Result{0, f.Transfer, f.Peer, f.Error, f.Text}
	if u := r.uploads[f.Transfer]; u != nil && !slices.Contains(u.results, result) {
		u.results = append(u.results, result)
	}
}
