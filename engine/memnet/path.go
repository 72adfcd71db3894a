package memnet

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Path is what happens to the packets of a link, in each direction for itself.
type Path struct {
	RTT time.Duration // there and back
	// Loss, Duplicate and Reorder are the parts of the packets, 0 to 1, that
	// vanish, that arrive twice, and that arrive later than others sent after
	// them: by up to half the RTT, and at least 10 ms.
	Loss, Duplicate, Reorder float64
	// Rate is in bits/s; 0 means 100 Mbit/s. Up to Queue bytes wait for their
	// turn, those beyond vanish; 0 means 1 MiB.
	Rate  int
	Queue int
	// Nothing arrives that is sent in a blackout, which begins at this time
	// after the link's making.
	BlackoutAfter, Blackout time.Duration
}

const (
	defaultRate  = 100e6
	defaultQueue = 1 << 20
	leastReorder = 10 * time.Millisecond
)

// packet sizes in bytes, of IP, UDP, DTLS and SCTP.
const (
	segmentSize = 1100 // of a packet's data, at most
	overhead    = 93   // of a packet
)

// way is one direction of a link's path.
type way struct {
	Path
	schedule *schedule
	began    time.Time

	mu     sync.Mutex
	random *rand.Rand
	free   time.Time // when all that waits has left
}

func newWay(p Path, s *schedule, seed, number uint64) *way {
	if p.Rate == 0 {
		p.Rate = defaultRate
	}
	if p.Queue == 0 {
		p.Queue = defaultQueue
	}
	return &way{Path: p, schedule: s, random: rand.New(rand.NewPCG(seed, number)), began: s.clock.Now()}
}

// carry takes a packet; arrive runs for each time that it comes to the other
// end.
func (w *way) carry(size int, arrive func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.schedule.clock.Now()
	// Every packet takes the same draws, so that what befalls one does not
	// depend on what befell others.
	lost := w.random.Float64() < w.Loss
	twice := w.random.Float64() < w.Duplicate
	late := w.random.Float64() < w.Reorder
	by := time.Duration(w.random.Float64() * float64(max(w.RTT/2, leastReorder)))
	if t := now.Sub(w.began); t >= w.BlackoutAfter && t < w.BlackoutAfter+w.Blackout {
		return
	}
	if w.free.Before(now) {
		w.free = now
	}
	if w.free.Sub(now).Seconds()*float64(w.Rate)/8 > float64(w.Queue) {
		return
	}
	w.free = w.free.Add(time.Duration(float64(size*8) / float64(w.Rate) * float64(time.Second)))
	if lost {
		return
	}
	at := w.free.Add(w.RTT / 2)
	if late {
		at = at.Add(by)
	}
	w.schedule.at(at, arrive)
	if twice {
		w.schedule.at(at, arrive)
	}
}
