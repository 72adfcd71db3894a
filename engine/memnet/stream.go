package memnet

import (
	"slices"
	"sync"
	"time"
)

// stream carries the frames of one half of a link over a path that loses them,
// so that they arrive whole, in order and once. It does what SCTP does
// (RFC 9260), in its simplest form: slow start, congestion avoidance and a
// retransmission timer; every packet is acknowledged; lost is what was sent a
// quarter of a round trip before something that arrived (RACK, RFC 8985).
type stream struct {
	schedule *schedule
	out      *way // of data
	back     *way // of acknowledgements
	deliver  func(frame []byte)
	frozen   func() bool // the sender, and the receiver
	deaf     func() bool
	writable func()

	mu    sync.Mutex
	ended bool

	// The sender's.
	segments  []*segment // from the first that is not acknowledged with all before
	base      uint64     // number of that one
	fresh     int        // index of the first that was never sent
	missing   int        // lost ones, not sent again yet
	buffered  int        // bytes not acknowledged
	wakeAt    int
	inflight  int
	cwnd      int
	ssthresh  int
	recovered uint64 // the loss is dealt with when all before this is acknowledged
	room      int    // that the receiver has
	newest    time.Time
	srtt      time.Duration
	rttvar    time.Duration
	rto       time.Duration
	deadline  time.Time // for an acknowledgement; zero if none is due
	tick      time.Time // when timeout looks at it; zero if it does not
	timeouts  int       // since something was acknowledged

	// The receiver's.
	expected uint64
	early    map[uint64]*segment
	partial  []byte
	held     int // bytes that arrived and that nobody took
	told     int // room that the sender was told of
}

// segment is what a packet carries: a frame or a part of one.
type segment struct {
	data  []byte
	last  bool // of its frame
	sent  time.Time
	state segmentState
	again bool // sent more than once
}

type segmentState uint8

const (
	fresh segmentState = iota
	underway
	lost
	arrived
)

const (
	// receiveRoom is what a receiver holds at most.
	receiveRoom = 1 << 20
	// As engine/rtc has them.
	minCwnd = 4 * segmentSize
	minRTO  = time.Second
	maxRTO  = 3 * time.Second
)

func newStream(s *schedule, out, back *way) *stream {
	return &stream{
		schedule: s, out: out, back: back, wakeAt: -1,
		cwnd: minCwnd, ssthresh: 1 << 30, room: receiveRoom, rto: minRTO,
		early: make(map[uint64]*segment), told: receiveRoom,
	}
}

func (s *stream) send(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for data := range slices.Chunk(slices.Clone(frame), segmentSize) {
		s.segments = append(s.segments, &segment{data: data})
	}
	s.segments[len(s.segments)-1].last = true
	s.buffered += len(frame)
	s.transmit()
}

// waiting is the number of bytes that were not acknowledged.
func (s *stream) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffered
}

// wake sets the number at which the sender is told.
func (s *stream) wake(buffered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeAt = buffered
}

// transmit sends what the windows allow: first what was lost.
func (s *stream) transmit() {
	if s.ended {
		return
	}
	for i := 0; s.missing > 0; i++ {
		g := s.segments[i]
		if g.state != lost {
			continue
		}
		if s.inflight > 0 && s.inflight+len(g.data) > s.cwnd {
			break
		}
		s.missing--
		g.again = true
		s.put(i)
	}
	for s.missing == 0 && s.fresh < len(s.segments) {
		size := len(s.segments[s.fresh].data)
		if s.inflight > 0 && s.inflight+size > min(s.cwnd, s.room) {
			break
		}
		s.fresh++
		s.put(s.fresh - 1)
	}
}

// put sends one segment.
func (s *stream) put(i int) {
	g, number := s.segments[i], s.base+uint64(i)
	g.state, g.sent = underway, s.now()
	s.inflight += len(g.data)
	if s.deadline.IsZero() {
		s.setDeadline()
	}
	if !s.frozen() {
		s.out.carry(len(g.data)+overhead, func() { s.receive(number, g) })
	}
}

func (s *stream) now() time.Time { return s.schedule.clock.Now() }

func (s *stream) setDeadline() {
	s.deadline = s.now().Add(min(s.rto<<s.timeouts, maxRTO))
	if s.tick.IsZero() || s.deadline.Before(s.tick) {
		s.setTick()
	}
}

// setTick has the deadline looked at when it is due: most are put off before.
func (s *stream) setTick() {
	at := s.deadline
	s.tick = at
	s.schedule.at(at, func() { s.timeout(at) })
}

// timeout takes everything under way for lost, unless something was
// acknowledged meanwhile.
func (s *stream) timeout(tick time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || tick != s.tick {
		return
	}
	s.tick = time.Time{}
	if s.deadline.IsZero() {
		return
	}
	if s.deadline.After(s.now()) {
		s.setTick()
		return
	}
	s.ssthresh = max(s.cwnd/2, minCwnd)
	s.cwnd = minCwnd
	s.timeouts = min(s.timeouts+1, 6)
	s.recovered = s.base + uint64(s.fresh)
	for _, g := range s.segments[:s.fresh] {
		if g.state == underway {
			s.lose(g)
		}
	}
	s.deadline = time.Time{}
	s.transmit()
}

func (s *stream) lose(g *segment) {
	g.state = lost
	s.missing++
	s.inflight -= len(g.data)
}

// receive takes a packet at the other end.
func (s *stream) receive(number uint64, g *segment) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	var frames [][]byte
	// What fills a gap is taken even if there is no room: it makes some.
	full := s.held >= receiveRoom && len(s.early) == 0
	if number >= s.expected && s.early[number] == nil && !full {
		s.early[number] = g
		s.held += len(g.data)
	}
	for g := s.early[s.expected]; g != nil; g = s.early[s.expected] {
		delete(s.early, s.expected)
		s.expected++
		s.partial = append(s.partial, g.data...)
		if g.last {
			frames = append(frames, s.partial)
			s.partial = nil
		}
	}
	s.acknowledge()
	s.mu.Unlock()
	// Events do not overlap, so that frames keep their order.
	for _, f := range frames {
		s.deliver(f)
	}
}

// took tells the stream that its receiver took a frame.
func (s *stream) took(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= bytes
	if !s.ended && s.told < receiveRoom/2 && receiveRoom-s.held >= receiveRoom/2 {
		s.acknowledge()
	}
}

// acknowledge tells the sender what has arrived.
func (s *stream) acknowledge() {
	if s.deaf() {
		return
	}
	s.told = max(0, receiveRoom-s.held)
	room, before := s.told, s.expected
	var beyond []uint64
	for number := range s.early {
		beyond = append(beyond, number)
	}
	slices.Sort(beyond)
	s.back.carry(overhead+16+4*len(beyond), func() { s.acknowledged(before, beyond, room) })
}

// acknowledged takes word from the receiver: it has everything before a number,
// some beyond it, and room for more.
func (s *stream) acknowledged(before uint64, beyond []uint64, room int) {
	s.mu.Lock()
	if s.ended || before < s.base {
		s.mu.Unlock()
		return
	}
	full, was := s.inflight+segmentSize > s.cwnd, s.buffered
	s.room = room
	bytes := 0
	for i := range int(before - s.base) {
		bytes += s.arrive(s.segments[i])
	}
	for _, number := range beyond {
		bytes += s.arrive(s.segments[number-s.base])
	}
	advanced := int(before - s.base)
	s.segments, s.base, s.fresh = s.segments[advanced:], before, s.fresh-advanced
	s.detect()
	switch {
	case before < s.recovered && s.cwnd >= s.ssthresh: // fast recovery
	case !full || bytes == 0:
	case s.cwnd < s.ssthresh:
		s.cwnd += bytes
	default:
		s.cwnd += segmentSize * bytes / s.cwnd
	}
	switch {
	case s.fresh == 0:
		s.deadline = time.Time{}
	case bytes > 0:
		s.timeouts = 0
		s.setDeadline()
	}
	s.transmit()
	writable := was > s.wakeAt && s.buffered <= s.wakeAt
	s.mu.Unlock()
	if writable {
		s.writable()
	}
}

// arrive marks a segment and returns its size, 0 if it was known.
func (s *stream) arrive(g *segment) int {
	switch g.state {
	case arrived:
		return 0
	case underway:
		s.inflight -= len(g.data)
	case lost:
		s.missing--
	}
	g.state = arrived
	s.buffered -= len(g.data)
	if g.sent.After(s.newest) {
		s.newest = g.sent
	}
	if !g.again {
		s.measure(s.now().Sub(g.sent))
	}
	return len(g.data)
}

// measure takes a sample of the round-trip time (RFC 6298).
func (s *stream) measure(rtt time.Duration) {
	if s.srtt == 0 {
		s.srtt, s.rttvar = rtt, rtt/2
	} else {
		s.rttvar += ((s.srtt - rtt).Abs() - s.rttvar) / 4
		s.srtt += (rtt - s.srtt) / 8
	}
	s.rto = max(s.srtt+4*s.rttvar, minRTO)
}

// detect finds what was lost, and halves the window once a round trip for it.
func (s *stream) detect() {
	late := s.newest.Add(-max(s.srtt/4, time.Millisecond))
	found := false
	for i, g := range s.segments[:s.fresh] {
		if g.state != underway {
			continue
		}
		if g.sent.Before(late) {
			s.lose(g)
			found = found || s.base+uint64(i) >= s.recovered
		} else if !g.again {
			break // those after it were sent later
		}
	}
	if found {
		s.ssthresh = max(s.cwnd/2, minCwnd)
		s.cwnd = s.ssthresh
		s.recovered = s.base + uint64(s.fresh)
	}
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.segments, s.early, s.partial, s.inflight, s.fresh, s.missing = nil, nil, nil, 0, 0, 0
}
