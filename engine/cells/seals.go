package cells

import "time"

// When browsers seal a roster, and what follows (docs/protocol.md, "Cells").
const (
	Tick      = 2 * time.Second  // how often they look whether a seal is due
	Quiet     = 2 * time.Second  // for how long nobody is to have come or gone
	Cap       = 10 * time.Second // after which they seal all the same
	Silence   = 90 * time.Second // after which a peer counts as silent
	Suspicion = 30 * time.Second // for how long silence alone makes no new seal
	Grace     = 5 * time.Second  // after a seal, until links without a role are closed
	PingTime  = 3 * time.Second  // for how long an answer to a ping is waited for
)

// Seals tells when a roster is to be sealed. The zero Seals is ready, and nothing is due.
type Seals struct {
	changed     bool
	first, last time.Time // of the changes since the last seal
	silent      time.Time // since when somebody is; zero: nobody is
}

// Changed notes that somebody came or said goodbye.
func (s *Seals) Changed(now time.Time) {
	if !s.changed {
		s.changed, s.first = true, now
	}
	s.last = now
}

// Silent notes, at a tick, whether somebody in the sealed roster is silent.
func (s *Seals) Silent(somebody bool, now time.Time) {
	switch {
	case !somebody:
		s.silent = time.Time{}
	case s.silent.IsZero():
		s.silent = now
	}
}

// Due tells, at a tick, whether to seal: something changed, and nothing more for Quiet, or
// the first change is Cap old; or somebody was silent for Suspicion.
func (s *Seals) Due(now time.Time) bool {
	if !s.silent.IsZero() && now.Sub(s.silent) >= Suspicion {
		return true
	}
	return s.changed && (now.Sub(s.last) >= Quiet || now.Sub(s.first) >= Cap)
}

// Sealed notes that the roster was sealed as it is.
func (s *Seals) Sealed() { *s = Seals{} }
