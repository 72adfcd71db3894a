package engine

import (
	"sync"
	"sync/atomic"
)

// MaxCodecs is the number of encodings that an EncodingCache has room for.
const MaxCodecs = 2

// EncodingCache remembers the encodings of a message, one for each codec.
// The zero value is ready; it is safe for use by several goroutines.
type EncodingCache struct {
	mu    sync.Mutex // of who builds
	slots [MaxCodecs]atomic.Pointer[[]byte]
}

// Get returns what build returned when it was first called for this codec,
// which is a number below MaxCodecs. build must not use the cache.
func (c *EncodingCache) Get(codec int, build func() []byte) []byte {
	if b := c.slots[codec].Load(); b != nil {
		return *b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.slots[codec].Load()
	if b == nil {
		built := build()
		b = &built
		c.slots[codec].Store(b)
	}
	return *b
}
