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
	built [MaxCodecs]atomic.Bool
	slots [MaxCodecs][]byte // is not changed once it is built
}

// Get returns what build returned when it was first called for this codec,
// which is a number below MaxCodecs. build must not use the cache.
func (c *EncodingCache) Get(codec int, build func() []byte) []byte {
	if !c.built[codec].Load() {
		c.build(codec, build)
	}
	return c.slots[codec]
}

func (c *EncodingCache) build(codec int, build func() []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.built[codec].Load() {
		c.slots[codec] = build()
		c.built[codec].Store(true)
	}
}
