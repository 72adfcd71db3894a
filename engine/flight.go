package engine

import "time"

// flight is what is on its way to a client that acknowledges messages. It bounds
// that by the window of congestion control, so that what is queued in sockets,
// proxies and modems stays short. The zero value is of a client that has
// acknowledged nothing: nobody holds it back but the transport.
type flight struct {
	window  window
	known   bool // the client acknowledges
	under   []underWay
	sent    int64 // bytes, of all messages
	arrived int64
	since   time.Time // that nothing has arrived although something is under way
}

// underWay are messages up to seq, and how many bytes were sent with them.
type underWay struct {
	seq uint64
	end int64
}

// send notes a message that is handed out.
func (f *flight) send(now time.Time, seq uint64, bytes int) {
	if !f.known {
		return
	}
	if len(f.under) == 0 {
		f.since = now
	}
	f.sent += int64(bytes)
	f.under = append(f.under, underWay{seq, f.sent})
	f.window.send(now, bytes)
}

// ack notes that everything up to seq has arrived.
func (f *flight) ack(now time.Time, seq uint64) {
	f.known = true
	n := 0
	for n < len(f.under) && f.under[n].seq <= seq {
		f.arrived = f.under[n].end
		n++
	}
	if n > 0 {
		f.since = now
		f.under = append(f.under[:0], f.under[n:]...)
		f.window.ack(now, int(f.sent-f.arrived))
	}
}

// free is the number of bytes that may be handed out. One message may always be
// under way.
func (f *flight) free() int {
	if !f.known {
		return int(^uint(0) >> 1)
	}
	return max(f.window.size(), leastFlight) - int(f.sent-f.arrived)
}

// stalled tells whether the window has been full for too long.
func (f *flight) stalled(now time.Time) bool {
	return f.free() <= 0 && now.Sub(f.since) > stallTime
}
