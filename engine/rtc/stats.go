package rtc

import "github.com/pion/webrtc/v4"

// Stats are what a transport's links are like now.
type Stats struct {
	// States counts the links by the state of their connection, as WebRTC names
	// it: "new", "connecting", "connected", "disconnected", "failed", "closed".
	States map[string]int
	// Candidates counts the connected links by the types of the two candidates
	// in use (RFC 8445, section 5.1.1): "host", "srflx", "prflx" or "relay".
	Candidates map[Candidates]int
	// CongestionWindow is the sum of SCTP's windows (RFC 9260, section 7), in
	// bytes, and RoundTrip the sum of its round-trip times, in seconds, over the
	// connected links.
	CongestionWindow uint64
	RoundTrip        float64
}

// Candidates are the types of a link's two candidates.
type Candidates struct{ Local, Remote string }

// Stats looks at all links. It does not ask them for what pion must compute.
func (t *Transport) Stats() Stats {
	t.mu.Lock()
	links := make([]*link, 0, len(t.links))
	for l := range t.links {
		links = append(links, l)
	}
	t.mu.Unlock()
	s := Stats{States: make(map[string]int), Candidates: make(map[Candidates]int)}
	for _, l := range links {
		state := l.pc.ConnectionState()
		s.States[state.String()]++
		if state != webrtc.PeerConnectionStateConnected {
			continue
		}
		sctp := l.pc.SCTP()
		pair, err := sctp.Transport().ICETransport().GetSelectedCandidatePair()
		if err != nil || pair == nil {
			continue // it was closed meanwhile
		}
		s.Candidates[Candidates{pair.Local.Typ.String(), pair.Remote.Typ.String()}]++
		stats := sctp.Stats()
		s.CongestionWindow += uint64(stats.CongestionWindow)
		s.RoundTrip += stats.SmoothedRoundTripTime
	}
	return s
}
