package frame

import (
	"bytes"
	"encoding/json"
	"fmt"
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
// sender began another one with the same nonce. Push returns no error for them.
func (r *Reassembler) Stale() uint64 { return r.stale }

// Push takes one frame. b is not kept.
//
// It returns the message that the frame completes, if it does, and progress if
// the message has more than one chunk and its sender tells it. Otherwise it returns an error that says
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
	k, tag, progress, data := key(b), b[atTag], b[atProgress], b[HeaderSize:]
	last := tag&tagLast != 0

	p := r.find(k)
	if p != nil && p.superseded(progress) {
		if p.dropped != ErrDropped { // else Push has said so
			r.stale++
		}
		r.end(p)
		p = nil
		if last && progress != 255 {
			return nil, nil, fmt.Errorf("%w: %d with the last chunk", ErrProgress, progress)
		}
	}
	if p == nil {
		if last {
			// The usual case; what its progress says does not matter.
			return r.single(channel, tag, data)
		}
		p = r.begin(k)
	}
	if last {
		defer r.end(p)
	}
	if p.dropped != nil {
		err := p.dropped
		p.dropped, p.progress = ErrDropped, progress
		return nil, nil, err
	}
	if err := r.add(p, tag, progress, data); err != nil {
		r.drop(p, ErrDropped)
		return nil, nil, err
	}
	meta := p.meta()
	if !last && p.mute {
		return nil, nil, nil
	}
	if !last {
		return nil, &Progress{channel, float64(progress) / 255, meta}, nil
	}
	whole := make([]byte, 0, p.size-len(meta))
	for _, c := range p.chunks {
		if !c.meta {
			whole = append(whole, c.data...)
		}
	}
	c, err := r.content(tag, meta, whole, true)
	if err != nil {
		return nil, nil, err
	}
	return &Message{channel, c}, &Progress{channel, 1, meta}, nil
}

// single makes the message of the only chunk that it has.
func (r *Reassembler) single(channel string, tag byte, data []byte) (*Message, *Progress, error) {
	var meta []byte
	if tag&tagMeta != 0 {
		if !validMeta(data) {
			return nil, nil, ErrMeta
		}
		meta, data = bytes.Clone(data), nil
	}
	c, err := r.content(tag, meta, data, false)
	if err != nil {
		return nil, nil, err
	}
	return &Message{channel, c}, nil, nil
}

// add keeps a copy of a chunk, and makes room for it if need be.
func (r *Reassembler) add(p *partial, tag, progress byte, data []byte) error {
	if !p.fits(progress, tag&tagLast != 0) {
		return fmt.Errorf("%w: %d as number %d", ErrProgress, progress, len(p.chunks)+1)
	}
	if p.least > MaxChunks {
		return ErrTooLarge
	}
	isMeta := tag&tagMeta != 0
	if isMeta && (p.meta() != nil || !validMeta(data)) {
		return ErrMeta
	}
	for r.live > r.limits.Partials || r.bytes+len(data) > r.limits.Bytes {
		oldest := r.oldest(false)
		if oldest == p {
			return ErrOverflow
		}
		r.drop(oldest, ErrOverflow)
	}
	p.chunks = append(p.chunks, chunk{bytes.Clone(data), isMeta})
	p.size += len(data)
	r.bytes += len(data)
	return nil
}

func validMeta(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }

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
