package cells

import "hash/maphash"

// MaxSeen is how many ids of frames are remembered. Browsers remember 5,000.
const MaxSeen = 8192

var seed = maphash.MakeSeed()

// Seen remembers the last MaxSeen ids of frames; the oldest is forgotten first. Of each it
// keeps 64 bits under a secret key: that two are taken for one happens once in 2^51 frames,
// and nobody can bring it about. The zero Seen is ready.
type Seen struct {
	ids   map[uint64]struct{}
	order []uint64 // a ring once it is full
	next  int      // the oldest in a full ring
}

// Add remembers an id. It is false if it was there.
func (s *Seen) Add(id string) bool {
	key := maphash.String(seed, id)
	if _, ok := s.ids[key]; ok {
		return false
	}
	if s.ids == nil {
		s.ids = map[uint64]struct{}{}
	}
	s.ids[key] = struct{}{}
	if len(s.order) < MaxSeen {
		s.order = append(s.order, key)
		return true
	}
	delete(s.ids, s.order[s.next])
	s.order[s.next] = key
	s.next = (s.next + 1) % MaxSeen
	return true
}
