package cells

import "time"

// When browsers seal a roster, and what follows (docs/protocol.md, "Cells").
const (
	Tick      = 2 * time.Second  // how often they look whether a seal is due
	Quiet     = 2 * time.Second  // for how long nobody is to have come or gone
	Cap       = 10 * time.Second // after which they seal all the same
	Suspicion = 30 * time.Second // for how long a silent peer stays in the roster
	Grace     = 5 * time.Second  // after a seal, until links without a role are closed
	PingTime  = 3 * time.Second  // for how long an answer to a ping is waited for
)

// Seals tells when a roster is to be sealed. The zero Seals is ready, and nothing is due.
type Seals struct {
	changed     bool
	first, last time.Time // of the changes since the last seal
}

// Changed notes that somebody came or said goodbye, that a silent peer was given up, or
// that the link of a bridge died.
func (s *Seals) Changed(now time.Time) {
	if !s.changed {
		s.changed, s.first = true, now
	}
	s.last = now
}

// Due tells, at a tick, whether to seal: something changed, and nothing more for Quiet, or
// the first change is Cap old.
func (s *Seals) Due(now time.Time) bool {
	return s.changed && (now.Sub(s.last) >= Quiet || now.Sub(s.first) >= Cap)
}

// Sealed notes that the roster was sealed as it is.
func (s *Seals) Sealed() { *s = Seals{} }
