package frame

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Message is a message that has arrived. It owns its memory.
type Message struct {
	Channel string
	Content Content
}

// Progress tells how much of a message of several chunks has arrived.
type Progress struct {
	Channel  string
	Fraction float64 // above 0, and 1 with the last chunk only
	Meta     []byte  // JSON, once its chunk has arrived
}

// Limits bound what the sender of a link can make us hold. Zero fields get
// the defaults.
type Limits struct {
	Partials int // messages under way, 64
	Bytes    int // that they hold together, 8 MiB
	Inflated int // size of a message after inflation, 16 MiB
}

// maxDropped is how many dropped messages, whose other chunks may still
// arrive, are remembered: all nonces of four channels.
const maxDropped = 1024

// Reassembler puts the frames of one link together again. It is not for
// concurrent use.
type Reassembler struct {
	limits   Limits
	partials []*partial // oldest first, the dropped ones included
	live     int        // partials that are not dropped
	bytes    int        // that those hold
	stale    uint64
}

// NewReassembler returns a reassembler that holds nothing.
func NewReassembler(l Limits) *Reassembler {
	if l.Partials == 0 {
		l.Partials = 64
	}
	if l.Bytes == 0 {
		l.Bytes = 8 << 20
	}
	if l.Inflated == 0 {
		l.Inflated = 16 << 20
	}
	return &Reassembler{limits: l}
}

// Pending is the number of bytes that are held of unfinished messages.
func (r *Reassembler) Pending() int { return r.bytes }

// Stale is the number of unfinished messages that were dropped because their
// sender began another one in their place. Push returns no error for them.
func (r *Reassembler) Stale() uint64 { return r.stale }

// Push takes one frame. b is not kept.
//
// It returns the message that the frame completes, if it does, and progress if
// the message has more than one chunk. Otherwise it returns an error that says
// why the frame was dropped, with the rest of its message: each frame that
// follows of that message is an ErrDropped. Other messages are not affected,
// and the reassembler goes on.
//
// When the limits are reached, the oldest unfinished message is dropped, which
// its own next frame reports as ErrOverflow.
func (r *Reassembler) Push(b []byte) (*Message, *Progress, error) {
	if len(b) < HeaderSize {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrShort, len(b))
	}
	if len(b) > MaxReceived {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrLong, len(b))
	}
	channel, ok := channelName(b)
	if !ok {
		return nil, nil, fmt.Errorf("frame with name %q: %w", b[:NameSize], ErrName)
	}
	m, p, err := r.push(channel, b)
	if err != nil {
		return nil, nil, fmt.Errorf("message %d of channel %q: %w", b[atNonce], channel, err)
	}
	return m, p, nil
}

func (r *Reassembler) push(channel string, b []byte) (*Message, *Progress, error) {
	k, tag, progress, chunk := key(b), b[atTag], b[atProgress], b[HeaderSize:]
	last := tag&tagLast != 0

	p := r.find(k)
	if p == nil && last {
		// The usual case; what its progress says does not matter.
		return r.single(channel, tag, chunk)
	}
	if p == nil || !p.fits(progress, last) {
		if p != nil {
			r.replace(p)
		}
		p = &partial{key: k, most: anyCount}
		if !p.fits(progress, last) {
			return nil, nil, fmt.Errorf("%w: %d", ErrProgress, progress)
		}
		if last {
			return r.single(channel, tag, chunk)
		}
		r.begin(p)
	}
	if last {
		defer r.end(p)
	}
	if p.dropped != nil {
		err := p.dropped
		p.dropped = ErrDropped
		return nil, nil, err
	}
	if err := r.add(p, tag, chunk); err != nil {
		r.drop(p, ErrDropped)
		return nil, nil, err
	}
	if !last {
		return nil, &Progress{channel, float64(progress) / 255, p.meta}, nil
	}
	c, err := r.content(tag, p.meta, bytes.Join(p.chunks, nil), true)
	if err != nil {
		return nil, nil, err
	}
	return &Message{channel, c}, &Progress{channel, 1, p.meta}, nil
}

// single makes the message of the only chunk that it has.
func (r *Reassembler) single(channel string, tag byte, chunk []byte) (*Message, *Progress, error) {
	var meta []byte
	if tag&tagMeta != 0 {
		if !json.Valid(chunk) {
			return nil, nil, ErrMeta
		}
		meta, chunk = bytes.Clone(chunk), nil
	}
	c, err := r.content(tag, meta, chunk, false)
	if err != nil {
		return nil, nil, err
	}
	return &Message{channel, c}, nil, nil
}

// add keeps a copy of a chunk, making room for it if need be.
func (r *Reassembler) add(p *partial, tag byte, chunk []byte) error {
	if p.least > MaxChunks {
		return ErrTooLarge
	}
	for r.live > r.limits.Partials || r.bytes+len(chunk) > r.limits.Bytes {
		oldest := r.partials[slices.IndexFunc(r.partials, func(p *partial) bool { return p.dropped == nil })]
		if oldest == p {
			return ErrOverflow
		}
		r.drop(oldest, ErrOverflow)
	}
	if tag&tagMeta == 0 {
		p.chunks = append(p.chunks, bytes.Clone(chunk))
	} else {
		if p.meta != nil || !json.Valid(chunk) {
			return ErrMeta
		}
		p.meta = bytes.Clone(chunk)
	}
	p.size += len(chunk)
	r.bytes += len(chunk)
	return nil
}

// content makes sense of a whole payload as the tag of its last chunk says.
// The payload is copied unless it is owned.
func (r *Reassembler) content(tag byte, meta, data []byte, owned bool) (Content, error) {
	c := Content{Kind: Text, Data: data, Meta: meta}
	switch {
	case tag&tagBinary != 0:
		c.Kind = Binary
	case tag&tagJSON != 0:
		c.Kind = JSON
	}
	if tag&tagZlib != 0 {
		var err error
		if c.Data, err = inflate(data, r.limits.Inflated); err != nil {
			return Content{}, err
		}
	} else if !owned {
		c.Data = append([]byte{}, data...)
	}
	if c.Kind != Binary && !utf8.Valid(c.Data) {
		// Browsers decode leniently too.
		c.Data = bytes.ToValidUTF8(c.Data, []byte("\uFFFD"))
	}
	if c.Kind == JSON && !json.Valid(c.Data) {
		return Content{}, ErrJSON
	}
	return c, nil
}
