package engine

import (
	"context"
	"errors"
	"fmt"
)

// A transfer carries one payload of any size from a seat to other seats
// (docs/gateway.md, "Transfers"). The room is a pipe with a window: what was
// sent and not yet acknowledged by all recipients is in their queues, shared
// between them, and is never more than Limits.Window. Nothing else of it is
// kept, so that a sender that begins again after a restart finds the room as
// able to go on as before. Links have no transfers: peers behind them get a
// payload that one message can carry as that message, when it is whole.

// TransferStep is one message of a transfer, as it passes between a seat's
// participant and the room, in either direction. In a step From is the sender's
// peer id; it is empty in steps of the transfer's sender and in those to it.
type TransferStep interface {
	Event
	// take has the room take a step of a seat. It runs in the actor.
	take(r *Room, s *Seat) error
}

// TransferBegin asks whether to begin or to go on, and answers that. A question
// has all fields; an answer has ID, Offset and, a recipient's, From.
type TransferBegin struct {
	ID      uint64 // the sender's number for it, from 1
	From    string
	Channel string
	Kind    Kind
	Size    uint64 // bytes
	// Offset is in the sender's question what it knows all recipients to have,
	// in the room's question what this recipient has acknowledged, and in
	// answers where to go on.
	Offset uint64
	To     []string // the sender's question: nil means everybody
	Meta   []byte   // JSON, or nil
}

// TransferChunk is a part of the payload. It is shared by those who receive it:
// its fields must not be changed.
type TransferChunk struct {
	ID     uint64
	From   string
	Offset uint64
	Data   []byte
	// Encodings caches what the session layer makes of the chunk.
	Encodings EncodingCache
}

// TransferAck says that Offset bytes are safe with a recipient, or with all.
type TransferAck struct {
	ID     uint64
	From   string
	Offset uint64
}

// TransferEnd says that the payload was sent whole, and answers that.
type TransferEnd struct {
	ID   uint64
	From string
	Hash string // the sender's: SHA-256 of the payload, lower-case hex
}

// TransferCancel gives a transfer up, for good.
type TransferCancel struct {
	ID     uint64
	From   string
	Reason string // of a participant's choice, or one of the room's
}

// TransferProgress tells a sender how much of its transfer a peer has
// acknowledged, or for a peer behind a link what that acknowledged of the
// message.
type TransferProgress struct {
	ID       uint64
	Peer     string
	Fraction float64 // rises; 1 when the peer has answered the end
}

// TransferResult tells a sender that one recipient will not have the payload.
type TransferResult struct {
	ID   uint64
	Peer string
	// Err is ErrTooLarge, ErrUnknownPeer, ErrPeerGone, ErrPeerSlow, ErrBusy,
	// ErrRefused, ErrCorrupt or ErrNotHeard.
	Err  error
	Text string // the recipient's reason, or ""
}

// Reasons with which the room cancels.
const (
	CancelGone    = "gone"     // the sender left
	CancelTooMany = "too_many" // maxTransfers of this sender are under way
	CancelNobody  = "nobody"   // no recipient is left
	CancelSlow    = "slow"     // this recipient kept the others waiting
	CancelLost    = "lost"     // this recipient has less than it acknowledged
	// CancelForbidden: this recipient may not hear of the channel any more.
	CancelForbidden = "forbidden"
)

// Errors of transfers. Those of a TransferStep are wrapped with what was wrong.
var (
	ErrBadTransfer     = errors.New("not a step that this transfer can take")
	ErrUnknownTransfer = errors.New("no such transfer is under way")
	ErrBadOffset       = errors.New("offset does not fit")
	ErrBusy            = errors.New("too many transfers are under way there already")
	ErrRefused         = errors.New("the recipient refused the transfer")
	ErrCorrupt         = errors.New("the payload is not what its hash and kind say")
)

const (
	// MaxChunk is the greatest length of a chunk.
	MaxChunk = 64 << 10
	// MaxTransferMeta bounds a transfer's meta, which is kept while it lasts.
	MaxTransferMeta = 64 << 10
	// MaxTransferReason bounds the reason of a TransferCancel.
	MaxTransferReason = 256

	maxTransfers   = 16   // under way of one seat
	maxIncoming    = 64   // under way to one seat
	maxUnderWay    = 1024 // chunks of one transfer that are not acknowledged
	maxOver        = 128  // ended transfers that a seat remembers
	ackSteps       = 16   // acknowledgements to the sender in each window
	progressSteps  = 256  // at most so many reports of progress for each peer
	maxAssembled   = 32 << 20
	transferMaxNum = 1<<53 - 1
)

// Transfer hands the room a step of a transfer, and waits until it was taken or
// refused. What follows from it comes as events. An error that wraps
// ErrBadTransfer, ErrUnknownTransfer, ErrBadOffset, ErrChannelName, ErrTooLarge
// or ErrTooMany, or a *RuleError, concerns this step alone; others are the attachment's or ctx's
// end. A step must not be changed afterwards. Steps of one goroutine keep their
// order.
func (a *Attachment) Transfer(ctx context.Context, step TransferStep) error {
	s := a.seat
	taken := make(chan error, 1)
	if err := s.room.giveCtx(ctx, job{run: func() {
		err := a.ended() // a newer attachment may have asked or been asked since
		if err == nil {
			err = step.take(s.room, s)
		}
		taken <- err
	}}); err != nil {
		return err
	}
	select {
	case err := <-taken:
		return err
	case <-s.room.done:
		return ErrClosed
	}
}

func badTransfer(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadTransfer, fmt.Sprintf(format, args...))
}

func badOffset(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadOffset, fmt.Sprintf(format, args...))
}

func (b *TransferBegin) take(r *Room, s *Seat) error {
	if b.From == "" {
		return r.beginTransfer(s, b)
	}
	return r.onRecipient(s, b.From, b.ID, func(p *recipient) error { return p.answer(b.Offset) })
}

func (c *TransferChunk) take(r *Room, s *Seat) error {
	return r.onSender(s, c.ID, func(t *transfer) error { return t.chunk(c) })
}

func (a *TransferAck) take(r *Room, s *Seat) error {
	return r.onRecipient(s, a.From, a.ID, func(p *recipient) error { return p.acknowledge(a.Offset) })
}

func (e *TransferEnd) take(r *Room, s *Seat) error {
	if e.From == "" {
		return r.onSender(s, e.ID, func(t *transfer) error { return t.end(e.Hash) })
	}
	return r.onRecipient(s, e.From, e.ID, func(p *recipient) error { return p.end() })
}

func (c *TransferCancel) take(r *Room, s *Seat) error {
	if c.From == "" {
		return r.onSender(s, c.ID, func(t *transfer) error { t.cancel(c.Reason); return nil })
	}
	return r.onRecipient(s, c.From, c.ID, func(p *recipient) error { return p.refuse(c.Reason) })
}

// onSender finds a transfer of the seat's own.
func (r *Room) onSender(s *Seat, id uint64, f func(*transfer) error) error {
	if t := s.transfers.sending[id]; t != nil {
		return f(t)
	}
	return r.lateStep(s, transferKey{s.id, id})
}

// onRecipient finds a transfer to the seat.
func (r *Room) onRecipient(s *Seat, from string, id uint64, f func(*recipient) error) error {
	if p := s.transfers.taking[transferKey{from, id}]; p != nil {
		return f(p)
	}
	return r.lateStep(s, transferKey{from, id})
}

// lateStep judges a step of a transfer that is not under way. It is no fault
// where the transfer ended while the step was on its way.
func (r *Room) lateStep(s *Seat, key transferKey) error {
	if s.transfers.over.contains(key) {
		r.node.counters.drop("transfer: step after the end")
		return nil
	}
	return ErrUnknownTransfer
}

func (b *TransferBegin) cost() int { return eventCost + len(b.Meta) }
func (*TransferChunk) cost() int   { return 0 } // waits in the queue of chunks
func (*TransferAck) cost() int     { return eventCost }
func (*TransferEnd) cost() int     { return eventCost }
func (*TransferCancel) cost() int  { return eventCost }
func (TransferProgress) cost() int { return eventCost }
func (TransferResult) cost() int   { return eventCost }
