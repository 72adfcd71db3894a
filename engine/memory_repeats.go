package engine

import (
	"bytes"
	"hash/maphash"
	"time"
)

const (
	// repeatTime is how long a message is remembered, so that it is not read again, and
	// repeatSize the size from which on it is. maxRepeats are remembered.
	repeatTime = time.Minute
	repeatSize = 512
	maxRepeats = 512
)

// repeated tells whether a peer has just said the same: pages say all that they have in
// their logs whenever somebody asks. Questions may be repeated.
func (m *Memory) repeated(peer string, data []byte) bool {
	if len(data) < repeatSize || bytes.Contains(data, []byte(`"sync"`)) {
		return false
	}
	var h maphash.Hash
	h.SetSeed(m.far.seed)
	_, _ = h.WriteString(peer)
	_ = h.WriteByte(0)
	_, _ = h.Write(data)
	sum, now := h.Sum64(), m.room.now()
	if at, ok := m.far.repeats.Get(sum); ok && now.Sub(at) < repeatTime {
		return true
	}
	m.far.repeats.Add(sum, now)
	return false
}
