package engine

import "time"

const (
	// windowMin keeps two frames under way, so that one leaves while the other
	// is acknowledged; windowMax, with the one frame that may exceed it, bounds
	// what a link's transport holds to 1 MiB. windowStart is for a link of
	// which nothing is known.
	windowMin   = 16<<10 + 1
	windowMax   = 1<<20 - 32<<10
	windowStart = 32 << 10

	// gain is how far a window exceeds what the path itself holds: enough to
	// notice when the path gets faster. startGain, which lets a window grow by half in a
	// round trip, is for a link that has not yet met its limit.
	gain      = 1.25
	startGain = 1.5
	// slack is a further allowance, as time: for acknowledgements and
	// goroutines that come in bursts. On paths of less than a few
	// milliseconds it is most of the window.
	slack = 10 * time.Millisecond

	// leastLife and leastRounds are how long a round-trip time is held for the
	// least: the longer of both, since measuring anew costs about one of rate.
	leastLife   = 10 * time.Second
	leastRounds = 40
	// rateRounds is the number of round trips after which a rate is forgotten,
	// half of it at least.
	rateRounds = 10
	// filledBy is how many samples in a row show that a queue grows. Fewer may
	// be a packet that was lost.
	filledBy = 4
	// sampleEvery is the least number of bytes between two samples.
	sampleEvery = 4 << 10
)

// window decides how many bytes the transport of a link may hold which the
// other end has not acknowledged. More waits in the outbox, where channels take
// turns and peers are refused by a bound. It is what a bulk transfer needs and
// little more, so that a message on another channel passes soon:
//
//	window = gain × delivery rate × least round-trip time + delivery rate × slack
//
// That is the model of BBR (Cardwell, Cheng, Gunn, Yeganeh, Jacobson: "BBR:
// Congestion-Based Congestion Control", ACM Queue 14(5), 2016; the samples of
// the rate are those of draft-cheng-iccrg-delivery-rate-estimation). Unlike BBR
// it does not pace, and loss is not its business: the transport below, SCTP, has
// a congestion window of its own (RFC 9260, section 7) which it neither opens nor
// closes. The lesser of the two holds.
//
// The rate is the greatest of the last 5 to 10 round trips, so that a quiet
// sender does not lower it. The least round-trip time is measured anew every
// 10 s or more, for two round trips with half of what the path holds under way,
// when no queue of ours can be part of it.
//
// A window knows neither clock nor link: it is told what happened when. Its
// positions count the bytes given to the transport.
type window struct {
	sent, acked int64
	samples     []sample // under way, oldest first
	limited     int64    // until this is acknowledged the sender had not enough to send

	// Of the last acknowledgement, or of the last time that nothing was under way.
	ackedAt, sentAt time.Time

	rates    [2]float64 // bytes/s, greatest of these and of the rounds before
	rounds   int        // that count in rates[0]
	roundEnd int64
	busy     bool // the round had a sample that shows what the path can do

	least    time.Duration
	leastAt  time.Time
	probing  bool          // for the least round-trip time
	probeAt  int64         // what is sent from here on shows it
	probeEnd int64         // and what is sent from here on ends it; 0 if not known yet
	probed   time.Duration // the least so far

	filled  bool    // the path was met at its limit: a queue grew, or the rate did not
	queued  int     // samples in a row that waited in a queue
	before  float64 // rate when it last grew by a quarter
	stalled int     // rounds since
}

// sample is a frame under way, with what was known when it was sent.
type sample struct {
	end             int64
	at              time.Time
	acked           int64
	ackedAt, sentAt time.Time
	limited         bool
}

// send records that the transport took n bytes.
func (w *window) send(now time.Time, n int) {
	if w.sent == w.acked {
		w.ackedAt, w.sentAt = now, now
	}
	w.sent += int64(n)
	if k := len(w.samples); k > 0 && w.sent-w.samples[k-1].end < sampleEvery {
		return
	}
	w.samples = append(w.samples, sample{
		end: w.sent, at: now, acked: w.acked, ackedAt: w.ackedAt, sentAt: w.sentAt, limited: w.limited > w.acked,
	})
}

// idle records that the sender has nothing more to send although it might.
func (w *window) idle() { w.limited = w.sent + 1 }

// ack records that the transport holds no more than this many bytes.
func (w *window) ack(now time.Time, buffered int) {
	acked := w.sent - int64(buffered)
	if acked <= w.acked {
		return
	}
	w.acked = acked
	n := 0
	for n < len(w.samples) && w.samples[n].end <= acked {
		w.roundTrip(now, w.samples[n])
		n++
	}
	if n > 0 {
		s := w.samples[n-1]
		w.deliver(now, s)
		w.sentAt = s.at
		w.samples = append(w.samples[:0], w.samples[n:]...)
	}
	w.ackedAt = now
}

// roundTrip takes a sample of the round-trip time.
func (w *window) roundTrip(now time.Time, s sample) {
	rtt := max(now.Sub(s.at), time.Nanosecond)
	if w.least == 0 || rtt <= w.least {
		w.least, w.leastAt = rtt, now
	}
	if w.queued++; rtt-w.least <= w.least/4+slack {
		w.queued = 0
	}
	w.filled = w.filled || w.queued >= filledBy
	switch {
	case !w.probing:
		if now.Sub(w.leastAt) > max(leastLife, leastRounds*w.least) {
			w.probing, w.probeAt, w.probeEnd = true, w.sent, 0
		}
	case s.end <= w.probeAt:
	case w.probeEnd == 0:
		w.probeEnd, w.probed = w.sent, rtt
	case s.end <= w.probeEnd:
		w.probed = min(w.probed, rtt)
	default:
		// Where packets are lost, even this may be too much.
		w.least, w.leastAt = max(w.least, min(w.probed, 2*w.least)), now
		w.probing = false
	}
}

// deliver takes a sample of the delivery rate.
func (w *window) deliver(now time.Time, s sample) {
	// Bytes that were sent slowly cannot arrive fast; acknowledgements that
	// were held up can.
	took := max(now.Sub(s.ackedAt), s.at.Sub(s.sentAt))
	if took >= w.least && took > 0 {
		rate := float64(w.acked-s.acked) / took.Seconds()
		if !s.limited || rate > w.rate() {
			w.rates[0] = max(w.rates[0], rate)
			w.busy = true
		}
	}
	if s.acked < w.roundEnd {
		return
	}
	w.roundEnd = w.acked
	if w.busy {
		w.round()
	}
	w.busy = false
}

// round ends a round trip that showed what the path can do.
func (w *window) round() {
	if !w.filled {
		if w.stalled++; w.rate() >= 1.25*w.before {
			w.before, w.stalled = w.rate(), 0
		}
		w.filled = w.stalled >= 3
	}
	if w.rounds++; w.rounds >= rateRounds/2 {
		w.rates[1], w.rates[0], w.rounds = w.rates[0], 0, 0
	}
}

func (w *window) rate() float64 { return max(w.rates[0], w.rates[1]) }

// size is the number of bytes from which on the transport gets no more.
func (w *window) size() int {
	rate := w.rate()
	if rate == 0 {
		return windowStart
	}
	held := rate * w.least.Seconds()
	size := gain*held + rate*slack.Seconds()
	switch {
	case w.probing:
		size = held / 2
	case !w.filled:
		size = max(windowStart, startGain*held+rate*slack.Seconds())
	}
	return int(min(max(size, windowMin), windowMax))
}
