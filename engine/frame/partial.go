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
	key     key
	chunks  []chunk
	seen    []byte // progress bytes of chunks; of a dropped message only the last one
	size    int    // bytes of chunks
	dropped error  // what to say of the next chunk, if the message was dropped
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

// beginning finds the chunk that the message of the latest one begins with,
// and the least number of chunks that the message can have. It is the first
// from which on all progress bytes agree. Mostly that is 0; but a nonce comes
// round again after 256 messages, and if the sender did not finish the earlier
// message, what was seen is the end of that one and then the later one. If
// nothing agrees it is len(p.seen).
func (p *partial) beginning(last bool) (from, count int) {
	for from = range p.seen {
		if count = countOf(p.seen[from:], last); count > 0 {
			return from, count
		}
	}
	return len(p.seen), 0
}

// countOf is the least number of chunks that a message can have whose first
// ones show this progress; 0 if there is none. Values that are off by one
// are taken, so that a sender may round as it likes.
func countOf(seen []byte, last bool) int {
	least, most := len(seen), math.MaxInt
	if last {
		most = len(seen)
	} else {
		least++
	}
	for i, progress := range seen {
		done, p := 255*(i+1), int(progress)
		least = max(least, (done+p)/(p+1)) // the quotient of done and p+1, rounded up
		if p > 1 {
			most = min(most, done/(p-1))
		}
	}
	if least > most {
		return 0
	}
	return least
}

func (r *Reassembler) find(k key) *partial {
	for _, p := range r.partials {
		if p.key == k {
			return p
		}
	}
	return nil
}

func (r *Reassembler) begin(k key) *partial {
	p := &partial{key: k}
	r.partials = append(r.partials, p)
	r.live++
	return p
}

// cut lets go of the first n chunks, which belong to an earlier message.
func (r *Reassembler) cut(p *partial, n int) {
	for _, c := range p.chunks[:n] {
		p.size -= len(c.data)
		r.bytes -= len(c.data)
	}
	p.chunks, p.seen = slices.Delete(p.chunks, 0, n), p.seen[n:]
	r.stale++
}

// drop lets go of all that a message holds. The next chunk is answered with err.
func (r *Reassembler) drop(p *partial, err error) {
	r.release(p)
	p.dropped = err
	p.seen = p.seen[len(p.seen)-1:]
	if len(r.partials)-r.live > maxDropped {
		r.end(r.partials[slices.IndexFunc(r.partials, func(p *partial) bool { return p.dropped != nil })])
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
