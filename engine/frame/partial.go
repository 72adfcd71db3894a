package frame

import (
	"math"
	"slices"
)

// key tells the messages of a link apart: the padded channel name and the nonce.
type key [NameSize + 1]byte

// partial is a message of which more chunks are to come. One that was dropped
// stays known, so that its other chunks are not taken for a message.
type partial struct {
	key         key
	chunks      []chunk
	size        int   // bytes of chunks
	progress    byte  // of the latest chunk
	least, most int   // number of chunks that the message can have, as progress tells
	mute        bool  // progress tells nothing
	dropped     error // what to say of the next chunk, if the message was dropped
}

type chunk struct {
	data []byte
	meta bool
}

func (p *partial) meta() []byte {
	for _, c := range p.chunks {
		if c.meta {
			return c.data
		}
	}
	return nil
}

// fits notes the progress of the next chunk and reports whether it agrees with
// that of the earlier ones: whether there is a number of chunks for which all
// of them are right. Values that are off by one are taken, so that a sender may
// round as it likes. Browsers do not look at progress at all; hence a sender
// that begins with 0 or with 255, as those that show it everywhere do, may go
// on as it likes.
func (p *partial) fits(progress byte, last bool) bool {
	p.progress = progress
	n, at := len(p.chunks)+1, int(progress)
	if n == 1 && (at == 0 || at == 255) {
		p.mute = true
	}
	if !p.mute {
		p.least = max(p.least, (255*n+at)/(at+1)) // 255*n / (at+1), rounded up
		if at > 1 {
			p.most = min(p.most, 255*n/(at-1))
		}
	}
	if last {
		p.least, p.most = max(p.least, n), min(p.most, n)
	} else {
		p.least = max(p.least, n+1)
	}
	return p.least <= p.most
}

// superseded reports whether a chunk with this progress must be the first of
// a later message. Nonces come round again after 256 messages, so that a sender
// that did not finish this one uses its key again.
func (p *partial) superseded(progress byte) bool {
	switch {
	case p.dropped != nil:
		return progress < p.progress // very long messages show the same value repeatedly
	case p.mute:
		return false
	}
	return progress <= p.progress
}

func (r *Reassembler) find(k key) *partial {
	for _, p := range r.partials {
		if p.key == k {
			return p
		}
	}
	return nil
}

// oldest finds the oldest message that was dropped, or was not. There is one.
func (r *Reassembler) oldest(dropped bool) *partial {
	return r.partials[slices.IndexFunc(r.partials, func(p *partial) bool { return dropped == (p.dropped != nil) })]
}

func (r *Reassembler) begin(k key) *partial {
	p := &partial{key: k, most: math.MaxInt}
	r.partials = append(r.partials, p)
	r.live++
	return p
}

// drop lets go of all that a message holds. The next chunk is answered with err.
func (r *Reassembler) drop(p *partial, err error) {
	r.release(p)
	p.dropped = err
	if len(r.partials)-r.live > maxDropped {
		r.end(r.oldest(true))
	}
}

// end forgets a message.
func (r *Reassembler) end(p *partial) {
	i := slices.Index(r.partials, p)
	if i < 0 {
		return
	}
	r.partials = slices.Delete(r.partials, i, i+1)
	if p.dropped == nil {
		r.release(p)
	}
}

func (r *Reassembler) release(p *partial) {
	r.live--
	r.bytes -= p.size
	p.chunks, p.size = nil, 0
}
