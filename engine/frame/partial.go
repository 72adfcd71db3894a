package frame

import (
	"math"
	"slices"
)

// key tells the messages of a link apart: the padded channel name and the nonce.
type key [NameSize + 1]byte

// anyCount stands for a number of chunks of which nothing is known.
const anyCount = math.MaxInt

// partial is a message of which more chunks are to come.
type partial struct {
	key         key
	chunks      [][]byte
	meta        []byte
	size        int   // bytes of chunks and meta
	dropped     error // what to say of the next chunk, if nothing is kept of this message
	count       int   // chunks that have arrived, also if they were dropped
	least, most int   // number of chunks that the message can have, judging by the progress bytes
}

// fits reports whether a chunk with this progress byte can be the next one of
// the message, and if so counts it. Since a nonce comes round again after 256
// messages, a chunk with the same key may belong to a later message; its
// progress then contradicts the earlier ones. Values that are off by one are
// taken, so that a sender may round as it likes.
func (p *partial) fits(progress byte, last bool) bool {
	count := p.count + 1
	least := max(p.least, (255*count+int(progress))/(int(progress)+1)) // the quotient rounded up
	most := p.most
	if progress > 1 {
		most = min(most, 255*count/(int(progress)-1))
	}
	if last {
		most = min(most, count)
		least = max(least, count)
	} else {
		least = max(least, count+1)
	}
	if least > most {
		return false
	}
	p.count, p.least, p.most = count, least, most
	return true
}

func (r *Reassembler) find(k key) *partial {
	for _, p := range r.partials {
		if p.key == k {
			return p
		}
	}
	return nil
}

func (r *Reassembler) begin(p *partial) {
	r.partials = append(r.partials, p)
	r.live++
}

// drop lets go of what a message holds. It stays known, so that its remaining
// chunks are not taken for another message; the next one is answered with err.
func (r *Reassembler) drop(p *partial, err error) {
	r.release(p)
	p.dropped = err
	if len(r.partials)-r.live > maxDropped {
		r.end(r.partials[slices.IndexFunc(r.partials, func(p *partial) bool { return p.dropped != nil })])
	}
}

// replace forgets a message that its sender did not finish.
func (r *Reassembler) replace(p *partial) {
	if p.dropped != ErrDropped { // else Push has said so
		r.stale++
	}
	r.end(p)
}

// end forgets a message.
func (r *Reassembler) end(p *partial) {
	if p.dropped == nil {
		r.release(p)
	}
	if i := slices.Index(r.partials, p); i >= 0 {
		r.partials = slices.Delete(r.partials, i, i+1)
	}
}

func (r *Reassembler) release(p *partial) {
	r.live--
	r.bytes -= p.size
	p.chunks, p.meta, p.size = nil, nil, 0
}
