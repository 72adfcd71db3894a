package graph

import (
	"cmp"
	"strconv"
	"time"
)

// Timestamp is a time of GenosDB's hybrid logical clock (docs/protocol.md, "Sync").
// On the wire it is {"physical":<Unix ms>,"logical":<integer>}, or null for the zero
// Timestamp, which is before all others.
type Timestamp struct {
	Physical int64  `json:"physical"` // Unix milliseconds
	Logical  uint64 `json:"logical"`
}

// IsZero tells whether it is no time at all.
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Compare is negative if t is before u, 0 if they are equal, and else positive.
func (t Timestamp) Compare(u Timestamp) int {
	return cmp.Or(cmp.Compare(t.Physical, u.Physical), cmp.Compare(t.Logical, u.Logical))
}

// After tells whether t is after u.
func (t Timestamp) After(u Timestamp) bool { return t.Compare(u) > 0 }

// String is "physical-logical", which is also the text of an ETag.
func (t Timestamp) String() string {
	return strconv.FormatInt(t.Physical, 10) + "-" + strconv.FormatUint(t.Logical, 10)
}

// next is the clock's time after t, which is what a replica has last seen.
func (t Timestamp) next(now time.Time) Timestamp {
	n := Timestamp{Physical: max(t.Physical, now.UnixMilli()), Logical: t.Logical + 1}
	if n.Logical > maxInteger {
		return Timestamp{Physical: n.Physical + 1}
	}
	return n
}

// capped is a timestamp that was received, at most MaxAhead of now.
func capped(t Timestamp, now time.Time) Timestamp {
	t.Physical = min(t.Physical, now.Add(MaxAhead).UnixMilli())
	return t
}
