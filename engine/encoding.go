package engine

import "sync"

// MaxCodecs is the number of encodings that an EncodingCache has room for.
const MaxCodecs = 2

// EncodingCache remembers the encodings of a message, one for each codec.
// The zero value is ready; it is safe for use by several goroutines.
type EncodingCache struct {
	mu    sync.Mutex
	slots [MaxCodecs][]byte
}

// Get returns what build returned when it was first called for this codec,
// which is a number below MaxCodecs. build must not use the cache.
func (c *EncodingCache) Get(codec int, build func() []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[codec] == nil {
		c.slots[codec] = build()
	}
	return c.slots[codec]
}
